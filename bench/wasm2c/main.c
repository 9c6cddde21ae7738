// Runs a command that wasm2c has translated to C, as often as told: main REPEAT FILE. Prints the
// median time of an instantiation and of a run in us. Of WASI it has what the benchmark's commands
// use; the output of all runs but the last is dropped.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "module.h"
#include "wasm-rt-impl.h"

enum { kSuccess = 0, kBadf = 8, kSpipe = 70 };

struct Z_wasi_snapshot_preview1_instance_t {
  Z_module_instance_t *module;
  const char *body;
  size_t body_bytes, body_at;
  int show;
};
typedef struct Z_wasi_snapshot_preview1_instance_t Wasi;

static char *At(Wasi *wasi, u32 place) {
  return (char *)Z_moduleZ_memory(wasi->module)->data + place;
}

static u32 Get(Wasi *wasi, u32 place) {
  u32 value;
  memcpy(&value, At(wasi, place), sizeof(value));
  return value;
}

static void Put(Wasi *wasi, u32 place, u32 value) { memcpy(At(wasi, place), &value, sizeof(value)); }

u32 Z_wasi_snapshot_preview1Z_fd_close(Wasi *wasi, u32 fd) {
  (void)wasi;
  return fd < 3 ? kSuccess : kBadf;
}

u32 Z_wasi_snapshot_preview1Z_fd_fdstat_get(Wasi *wasi, u32 fd, u32 stat) {
  if (fd > 2) return kBadf;
  memset(At(wasi, stat), 0, 24);
  return kSuccess;
}

u32 Z_wasi_snapshot_preview1Z_fd_seek(Wasi *wasi, u32 fd, u64 offset, u32 whence, u32 result) {
  (void)wasi, (void)offset, (void)whence, (void)result;
  return fd > 2 ? kBadf : kSpipe;
}

u32 Z_wasi_snapshot_preview1Z_fd_read(Wasi *wasi, u32 fd, u32 pieces, u32 count, u32 result) {
  if (fd != 0) return kBadf;
  u32 total = 0;
  for (u32 i = 0; i < count; ++i) {
    size_t bytes = Get(wasi, pieces + 8 * i + 4);
    if (bytes > wasi->body_bytes - wasi->body_at) bytes = wasi->body_bytes - wasi->body_at;
    memcpy(At(wasi, Get(wasi, pieces + 8 * i)), wasi->body + wasi->body_at, bytes);
    wasi->body_at += bytes;
    total += (u32)bytes;
  }
  Put(wasi, result, total);
  return kSuccess;
}

u32 Z_wasi_snapshot_preview1Z_fd_write(Wasi *wasi, u32 fd, u32 pieces, u32 count, u32 result) {
  if (fd != 1 && fd != 2) return kBadf;
  u32 total = 0;
  for (u32 i = 0; i < count; ++i) {
    const u32 bytes = Get(wasi, pieces + 8 * i + 4);
    if (wasi->show) fwrite(At(wasi, Get(wasi, pieces + 8 * i)), 1, bytes, stderr);
    total += bytes;
  }
  Put(wasi, result, total);
  return kSuccess;
}

void Z_wasi_snapshot_preview1Z_proc_exit(Wasi *wasi, u32 status) {
  (void)wasi;
  if (status != 0) exit((int)status);
  wasm_rt_trap(WASM_RT_TRAP_NONE);
}

static double Us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int Compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int count, char **values) {
  if (count != 3) return 2;
  const int repeat = atoi(values[1]);
  static char body[4 << 20];
  const int file = open(values[2], O_RDONLY);
  const ssize_t bytes = read(file, body, sizeof(body));
  double *instantiate = calloc((size_t)repeat, sizeof(double));
  double *run = calloc((size_t)repeat, sizeof(double));
  if (bytes < 0 || instantiate == NULL || run == NULL) return 2;
  wasm_rt_init();
  Z_module_init_module();
  for (int i = 0; i < repeat; ++i) {
    Z_module_instance_t module;
    Wasi wasi = {&module, body, (size_t)bytes, 0, i == repeat - 1};
    const double began = Us();
    Z_module_instantiate(&module, &wasi);
    const double instantiated = Us();
    const wasm_rt_trap_t trap = (wasm_rt_trap_t)wasm_rt_impl_try();
    if (trap == WASM_RT_TRAP_NONE) Z_moduleZ__start(&module);
    run[i] = Us() - instantiated;
    instantiate[i] = instantiated - began;
    Z_module_free(&module);
  }
  wasm_rt_free();
  qsort(instantiate, (size_t)repeat, sizeof(double), Compare);
  qsort(run, (size_t)repeat, sizeof(double), Compare);
  printf("%.1f %.1f\n", instantiate[repeat / 2], run[repeat / 2]);
  return 0;
}

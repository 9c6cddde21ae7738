#include "executors/wasmedge/libc_hooks.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "executors/wasmedge/guest_thread.h"

namespace hybridserve {
namespace {

// Of an interpreter's guest: about 200,000 calls deep.
constexpr size_t kMaxStackBlockBytes = 8u << 20;

using SigactionCall = int (*)(int, const struct sigaction*, struct sigaction*);
using SignalCall = sighandler_t (*)(int, sighandler_t);

std::array<std::atomic<bool>, NSIG> taken{};
std::atomic<SignalHandler> fault_handler{nullptr};
std::atomic<int> folders_entered{0};

template <typename Call>
Call Next(const char* name) {
  return reinterpret_cast<Call>(::dlsym(RTLD_NEXT, name));
}

int RealSigaction(int signal, const struct sigaction* action, struct sigaction* before) {
  static const auto call = Next<SigactionCall>("sigaction");
  return call(signal, action, before);
}

bool IsTaken(int signal) { return signal > 0 && signal < NSIG && taken[signal].load(); }

// WasmEdge's handler takes three arguments and no signal stack; LLVM's is the other way round.
void Keep(const struct sigaction& action) {
  if ((action.sa_flags & SA_SIGINFO) != 0 && (action.sa_flags & SA_ONSTACK) == 0) {
    fault_handler = action.sa_sigaction;
  }
}

// Whether this thread's guest may have so much more memory.
bool Allow(uint64_t bytes) {
  GuestRun* run = CurrentGuestRun();
  if (run == nullptr || run->in_host) return true;
  if (bytes > run->memory_limit_bytes - run->memory_used_bytes) {
    run->memory_refused = true;
    return false;
  }
  run->memory_used_bytes += bytes;
  return true;
}

// The stacks of the interpreter are all that grows by such blocks while its guest runs, besides
// tables of half a million elements.
void NoteBlock(size_t bytes) {
  if (bytes < kMaxStackBlockBytes) return;
  GuestRun* run = CurrentGuestRun();
  if (run == nullptr || run->in_host || !run->calling || !run->interrupt) return;
  run->stack_exhausted = true;
  run->interrupt();
}

}  // namespace

void TakeSignal(int signal, SignalHandler handler) {
  struct sigaction action {};
  action.sa_sigaction = handler;
  // Not blocked meanwhile: a handler may leave by a long jump, which restores no mask.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
  (void)RealSigaction(signal, &action, nullptr);
  taken[static_cast<size_t>(signal)] = true;
}

void RestoreDefaultAction(int signal) {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  (void)RealSigaction(signal, &action, nullptr);
}

SignalHandler WasmEdgeFaultHandler() { return fault_handler; }

Result<CurrentFolder> CurrentFolder::Enter(int folder) {
  UniqueFd before(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!before) return FailErrno("open the current folder");
  if (::fchdir(folder) != 0) return FailErrno("enter the compiler's folder");
  ++folders_entered;
  return CurrentFolder(std::move(before));
}

CurrentFolder::~CurrentFolder() {
  if (!before_) return;
  --folders_entered;
  (void)!::fchdir(before_.get());
}

}  // namespace hybridserve

void* operator new(size_t bytes) {
  hybridserve::NoteBlock(bytes);
  void* block = std::malloc(bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t /*bytes*/) noexcept { std::free(block); }

extern "C" {

int sigaction(int signal, const struct sigaction* action, struct sigaction* before) noexcept {
  if (!hybridserve::IsTaken(signal)) return hybridserve::RealSigaction(signal, action, before);
  if (action != nullptr) hybridserve::Keep(*action);
  if (before != nullptr) std::memset(before, 0, sizeof(*before));
  return 0;
}

sighandler_t signal(int signal, sighandler_t handler) noexcept {
  if (hybridserve::IsTaken(signal)) return SIG_DFL;
  static const auto call = hybridserve::Next<hybridserve::SignalCall>("signal");
  return call(signal, handler);
}

void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  const bool memory = (flags & MAP_ANONYMOUS) != 0 && (protection & PROT_WRITE) != 0;
  if (memory && !hybridserve::Allow(bytes)) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return reinterpret_cast<void*>(::syscall(SYS_mmap, address, bytes, protection, flags, fd, offset));
}

char* getcwd(char* buffer, size_t size) noexcept {
  if (hybridserve::folders_entered.load() > 0) {
    if (buffer == nullptr) return ::strdup(".");
    if (size < 2) {
      errno = ERANGE;
      return nullptr;
    }
    return std::strcpy(buffer, ".");
  }
  static const auto call = hybridserve::Next<char* (*)(char*, size_t)>("getcwd");
  return call(buffer, size);
}

}  // extern "C"

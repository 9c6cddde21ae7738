#include "executors/common/executor.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <system_error>
#include <thread>

#include "executors/common/module_table.h"
#include "executors/common/precedence.h"
#include "executors/common/receivers.h"
#include "executors/common/watchdog.h"
#include "ipc/seqpacket.h"

namespace hybridserve {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

uint32_t ToUs(std::chrono::nanoseconds time) {
  return static_cast<uint32_t>(
      std::clamp<int64_t>(duration_cast<microseconds>(time).count(), 0, UINT32_MAX));
}

// A request's body: in the datagram, or mapped from its descriptor.
class Body {
 public:
  Body() = default;
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  ~Body() {
    if (mapped_ != nullptr) ::munmap(mapped_, size_);
  }

  Result<> Map(int fd, uint64_t bytes) {
    struct stat stat {};
    if (::fstat(fd, &stat) != 0) return FailErrno("look at a request's body");
    if (static_cast<uint64_t>(stat.st_size) != bytes || bytes == 0) {
      return Fail(Code::kCorrupt, "a request's body has another size than announced");
    }
    void* mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (mapped == MAP_FAILED) return FailErrno("map a request's body");
    mapped_ = mapped;
    size_ = bytes;
    return {};
  }
  [[nodiscard]] std::string_view view() const {
    return {static_cast<const char*>(mapped_), mapped_ == nullptr ? 0 : size_};
  }

 private:
  void* mapped_ = nullptr;
  size_t size_ = 0;
};

// What the threads of an executor share; lasts as long as the process.
struct Shared {
  ModuleTable& modules;
  Receivers& receivers;
  Watchdog& watchdog;
  Precedence& precedence;
  int socket;
  int scratch_folder;
};

// Serves one invocation after another on one thread.
class Worker {
 public:
  Worker(const Shared& shared, uint32_t index)
      : modules_(shared.modules),
        receivers_(shared.receivers),
        precedence_(shared.precedence),
        index_(index),
        wasi_(shared.watchdog.guard(index)),
        socket_(shared.socket),
        scratch_folder_(shared.scratch_folder) {}

  // Returns when the socket is closed, or when a guest has cost the thread its priority.
  void Loop() {
    precedence_.Enter(index_);
    while (!precedence_.Lowered(index_)) {
      const std::span<char> buffer(buffer_.get(), ipc::kMaxDatagramBytes);
      receivers_.Enter(place_);
      Result<ipc::Received> received = ipc::Receive(socket_, buffer, ipc::Wait::kBlock);
      receivers_.Leave();
      if (!received) {
        // A datagram that is cut off is not of our server; nothing of it can be answered.
        if (received.error().code == Code::kCorrupt) continue;
        return;
      }
      if (received->size == 0) return;
      Result<InvokeMessage> invoke = DecodeInvoke({buffer_.get(), received->size});
      if (invoke && !Serve(*invoke, received->fds)) return;
    }
  }

 private:
  // False when the socket is closed.
  bool Serve(const InvokeMessage& invoke, std::vector<UniqueFd>& fds) {
    Outcome outcome{.id = invoke.id};
    message_.clear();
    Result<> served = Run(invoke, fds, outcome);
    if (!served) {
      outcome.kind = served.error().code == Code::kInternal ? OutcomeKind::kInternal
                                                            : OutcomeKind::kLoadFailed;
      message_ = served.error().message;
    }
    message_.resize(std::min<size_t>(message_.size(), kMaxMessageBytes));
    outcome.message = message_;
    return Answer(outcome);
  }

  Result<> Run(const InvokeMessage& invoke, std::vector<UniqueFd>& fds, Outcome& outcome) {
    UniqueFd socket;
    if (invoke.socket) {
      if (fds.empty()) return Fail(Code::kInternal, "a guest's socket came without a descriptor");
      socket = std::move(fds.back());
      fds.pop_back();
    }
    Body body;
    if (invoke.body_in_file) {
      if (fds.empty()) return Fail(Code::kInternal, "a request's body came without a descriptor");
      TRY(body.Map(fds.back().get(), invoke.body_bytes));
      fds.pop_back();
    }
    const auto began = SteadyClock::now();
    TRY_ASSIGN(ModuleTable::Found found, modules_.Get(invoke.module, invoke.load, fds));
    fds.clear();
    LoadedModule& loaded = *found.module;
    const auto ready = SteadyClock::now();
    outcome.loaded_now = found.loaded_now;
    if (!invoke.load.empty()) outcome.load_us = ToUs(ready - began);

    wasi_.guard().Begin(invoke.id, ready + microseconds(loaded.load.run_timeout_us));
    wasi_.Begin({.request_variables = {invoke.request_variables, invoke.variable_count},
                 .environment = {loaded.load.environment, loaded.load.environment_count},
                 .body = invoke.body_in_file ? body.view() : invoke.body,
                 .folders = loaded.folders,
                 .output_limit_bytes = loaded.load.output_limit_bytes,
                 .scratch = {.parent = scratch_folder_,
                             .number = invoke.id,
                             .limit_bytes = loaded.load.disk_limit_bytes}});
    if (socket) wasi_.AddSocket(std::move(socket));
    precedence_.Begin(index_, loaded.history);
    RunResult result = loaded.module->Run(wasi_);
    wasi_.guard().End();
    precedence_.End(index_, loaded.history);
    wasi_.End();
    outcome.kind = result.kind;
    outcome.exit_status = result.exit_status;
    outcome.instantiate_us = ToUs(result.instantiate);
    outcome.run_us = ToUs(result.run);
    outcome.peak_memory_bytes = result.peak_memory_bytes;
    outcome.log = wasi_.log();
    message_ = std::move(result.message);
    return {};
  }

  bool Answer(Outcome& outcome) {
    UniqueFd file;
    if (outcome.kind == OutcomeKind::kDone) {
      OutputSink& output = wasi_.output();
      outcome.output_bytes = output.size();
      if (output.in_file()) {
        Result<UniqueFd> taken = output.TakeFile();
        if (taken) {
          file = std::move(*taken);
          outcome.output_in_file = true;
        } else {
          outcome.kind = OutcomeKind::kInternal;
          outcome.output_bytes = 0;
          outcome.message = "cannot hand over the response";
        }
      } else {
        outcome.output = output.view();
      }
    }
    const std::array<char, kOutcomeHeadBytes> head = EncodeOutcomeHead(outcome);
    const std::array<std::string_view, 4> parts{std::string_view(head.data(), head.size()),
                                                outcome.message, outcome.log, outcome.output};
    const int fd = file.get();
    const std::span<const int> fds(&fd, file ? 1 : 0);
    return ipc::Send(socket_, parts, fds, ipc::Wait::kBlock).has_value();
  }

  ModuleTable& modules_;
  Receivers& receivers_;
  Receivers::Place place_;
  Precedence& precedence_;
  uint32_t index_;
  wasi::Wasi wasi_;
  int socket_;
  int scratch_folder_;
  std::unique_ptr<char[]> buffer_ = std::make_unique_for_overwrite<char[]>(ipc::kMaxDatagramBytes);
  std::string message_;
};

// A worker's thread, and another one in its place once it has lost its priority.
void StartWorker(const Shared& shared, uint32_t index) {
  std::thread([&shared, index] {
    Worker(shared, index).Loop();
    if (shared.precedence.Lowered(index)) shared.precedence.Replace(index);
  }).detach();
}

Result<> ControlLoop(int socket, ModuleTable& modules, Watchdog& watchdog) {
  std::array<char, 256> buffer;
  while (true) {
    Result<ipc::Received> received = ipc::Receive(socket, buffer, ipc::Wait::kBlock);
    if (!received && received.error().code == Code::kCorrupt) continue;
    if (!received) return tl::unexpected(std::move(received.error()));
    if (received->size == 0) return {};
    const Result<Control> control = DecodeControl({buffer.data(), received->size});
    if (!control) continue;
    switch (control->kind) {
      case ControlKind::kUnload:
        modules.Unload(control->id);
        break;
      case ControlKind::kCancel:
        watchdog.Cancel(control->id);
        break;
    }
  }
}

}  // namespace

void RunExecutor(Engine& engine, const ExecutorOptions& options) {
  ModuleTable modules(engine);
  Receivers receivers;
  Watchdog watchdog(options.threads, [&engine] { engine.Interrupt(); });
  const Shared* workers = nullptr;
  Precedence precedence(watchdog, options.threads,
                        [&workers](uint32_t index) { StartWorker(*workers, index); });
  const Shared shared{modules,    receivers,           watchdog,
                      precedence, options.data_socket, options.scratch_folder};
  workers = &shared;
  try {
    for (uint32_t i = 0; i < options.threads; ++i) StartWorker(shared, i);
  } catch (const std::system_error& error) {
    (void)std::fprintf(stderr, "executor: cannot start %u threads: %s\n", options.threads,
                       error.what());
    ::_exit(3);
  }
  const Result<> ended = ControlLoop(options.control_socket, modules, watchdog);
  // The server is gone, and with it whoever waits for an answer: guests in mid-run end with us.
  ::_exit(ended ? 0 : 3);
}

}  // namespace hybridserve

// LibcHooks: calls of the C library that this program answers itself when WasmEdge (or LLVM in it)
// makes them. The program's symbols come before the C library's.
//
//   sigaction, signal   of the signals that guest_thread.h has taken over: WasmEdge's fault handler
//                       is kept to be called, all else about them is ignored
//   mmap                memory of a guest beyond its limit is refused, and the guest's run told so:
//                       WasmEdge's own limit would not say that it had been reached, and holds for
//                       each memory by itself
//   operator new        a guest of the interpreter whose stack gets too large is stopped: the
//                       interpreter keeps it on the heap, and knows no limit
//   getcwd              "." while a CurrentFolder lasts: WasmEdge's compiler makes its paths
//                       absolute, and its folder may have no path
//
// Thread rule: any thread; TakeSignal before there are several.
#pragma once

#include <signal.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve {

using SignalHandler = void (*)(int, siginfo_t*, void*);

/// Installs `handler`, on the signal stack; from then on nobody else changes it.
void TakeSignal(int signal, SignalHandler handler);
void RestoreDefaultAction(int signal);

/// WasmEdge's own; set before the first guest's code runs.
SignalHandler WasmEdgeFaultHandler();

/// Makes a folder the process's current one until the destructor.
class CurrentFolder {
 public:
  static Result<CurrentFolder> Enter(int folder);
  CurrentFolder(CurrentFolder&&) = default;
  CurrentFolder& operator=(CurrentFolder&&) = delete;
  ~CurrentFolder();

 private:
  explicit CurrentFolder(UniqueFd before) : before_(std::move(before)) {}
  UniqueFd before_;
};

}  // namespace hybridserve

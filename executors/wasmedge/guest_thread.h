// GuestThread: the stack on which a thread runs WasmEdge's guests, and how a guest is ended on it.
//
// WasmEdge's native code checks neither its stack nor a deadline. Its faults are signals: its own
// handler turns SIGSEGV, SIGBUS and SIGFPE into a long jump out of the guest. That handler alone
// would not do for a node: it needs stack itself, it takes every fault in the process for the
// guest's, and WasmEdge sets the signals back to their defaults when a guest ends, which races with
// a fault in another thread. So the process keeps handlers of its own (Install), on a signal stack,
// and calls WasmEdge's only while the processor is in a guest's native code, that is, in none of
// the program's files.
//
// The stack, from its lowest address:
//   guard     64 MiB, never mapped: no frame of a guest is as large (locals are at most 50,000)
//   reserve   for WasmEdge's runtime once a guest has used up its own
//   barrier   closed; a guest that reaches it has used up its stack and ends. Where WasmEdge's
//             runtime reaches it, it is opened until the run's end, and the guest ends when it is
//             back in its code.
//   stack     the guest's
//
// A guest that has to end while the processor is in WasmEdge's runtime, which may hold locks, is
// single-stepped back to its own code (x86-64; elsewhere the signal comes again until it hits).
//
// Thread rule: each thread has its own; InterruptGuests from any thread.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <cstdint>
#include <functional>

#include "executors/common/wasi.h"

namespace hybridserve {

/// What one run's signal handlers and hooks share with it.
struct GuestRun {
  wasi::Wasi* wasi = nullptr;     ///< nullptr: WasmEdge's own, and no deadline.
  uint64_t memory_limit_bytes = 0;
  uint64_t memory_used_bytes = 0;  ///< Of all memories; only grows.
  bool memory_refused = false;     ///< The guest asked for more than its limit.
  bool stack_exhausted = false;

  std::atomic<bool> in_host{false};  ///< In one of our host functions.
  std::atomic<bool> ending{false};   ///< The guest is to end as soon as it is in its code.
  bool barrier_open = false;
  uint32_t steps_left = 0;  ///< Single steps until the next signal.
  bool calling = false;     ///< Past its instantiation.
  /// Ends the guest instead of a signal (interpreter). Called from any thread, under a lock.
  std::function<void()> interrupt;
};

/// Takes over the signals. Once, before guests and threads.
void InstallGuestSignals();

/// The run on this thread, or nullptr.
GuestRun* CurrentGuestRun();

/// Calls `body` on this thread's guest stack.
void RunOnGuestStack(GuestRun& run, const std::function<void()>& body);

/// Ends the guests whose Guard says so, or tries: to be called again until they have ended. One
/// that has not for 2 s, and is in no host function of ours, ends the process.
void InterruptGuests();

}  // namespace hybridserve

// Executor: the serving loop of a jailed executor, the same for every engine.
//
// N worker threads block in recvmsg on the data socket; the calling thread reads the control socket
// and ends the process when it is closed. Each invocation runs in a fresh instance on the thread
// that received it.
//
// Thread rule: RunExecutor is called once, from the main thread.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "executors/common/engine.h"

namespace hybridserve {

struct ExecutorOptions {
  uint32_t threads = 32;  ///< Guests at once. 1..256.
  int data_socket = 3;
  int control_socket = 4;
  int scratch_folder = -1;  ///< Empty and writable: the guests' /tmp lie in it. -1: they have none.
};

/// Serves until the control socket is closed, then ends the process at once: whoever waits for a
/// guest's answer is gone with it. Exit status 0; 3 when a thread or a socket failed.
[[noreturn]] void RunExecutor(Engine& engine, const ExecutorOptions& options);

}  // namespace hybridserve

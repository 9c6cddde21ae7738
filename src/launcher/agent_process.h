// AgentProcess: the program hybridserve-agent, which stands between the server and a container
// runtime of the operator's. It is root's, as the daemon's socket is; the server gets one end of
// its socket and nothing else.
//
// Thread rule: one thread, the loop's.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/event_loop.h"
#include "launcher/line_log.h"
#include "launcher/runtime_choice.h"
#include "sandbox/process.h"

namespace hybridserve::launcher {

struct AgentOptions {
  RuntimeChoice runtime;
  std::string node;              ///< StateFolder::Tag().
  std::filesystem::path folder;  ///< Made for it, root's alone.
  std::filesystem::path images;
  uint32_t held = 0;
  std::string log_level;
};

class AgentProcess {
 public:
  AgentProcess(EventLoop& loop, AgentOptions options)
      : loop_(loop), options_(std::move(options)) {}
  ~AgentProcess() { End(); }
  AgentProcess(const AgentProcess&) = delete;
  AgentProcess& operator=(const AgentProcess&) = delete;

  /// Ends the one that runs and starts another. Returns the server's end of its socket.
  /// Errors: kUnsupported the node's containers are made by no agent; its program is missing.
  Result<UniqueFd> Start();
  /// Waits a while for it to remove what it holds, once its server is gone; kills it after that.
  /// Its containers stay. Idempotent.
  void End();
  [[nodiscard]] bool Owns(pid_t pid) const { return child_ && child_.pid == pid; }

 private:
  [[nodiscard]] std::vector<std::string> Command() const;
  void OnEnd();

  EventLoop& loop_;
  AgentOptions options_;
  sandbox::Child child_;
  std::unique_ptr<LineLog> log_;
};

}  // namespace hybridserve::launcher

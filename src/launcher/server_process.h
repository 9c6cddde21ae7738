// ServerProcess: starts the server as its own user, starts it again when it crashes, and tells when
// the node is to end.
//
// The server ends the node by its exit status: 0 (it was asked to), and those of Code that a new
// start cannot mend (bad configuration 2, something missing 3, not allowed 4, a port in use 5,
// not supported 6, stored data damaged 10). Anything else is a crash. A server that was ready is
// started again at once; one that crashed before, after 100 ms, doubling to 10 s until one is
// ready. A server that crashes five times without ever having said Hello ends the node with its
// status.
//
// Thread rule: one thread, the loop's.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/event_loop.h"
#include "launcher/state_folder.h"
#include "sandbox/process.h"

namespace hybridserve::launcher {

class ServerProcess {
 public:
  struct Events {
    std::function<void(UniqueFd socket)> started;  ///< With the launcher's end of its socket.
    std::function<void()> crashed;                 ///< It will be started again.
    std::function<void(int status)> ended;         ///< The node is to end with this status.
  };

  ServerProcess(EventLoop& loop, std::vector<std::string> command, User user, Events events)
      : loop_(loop), command_(std::move(command)), user_(user), events_(std::move(events)) {}
  /// Kills it if it still runs.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  Result<> Start();
  /// It has said Hello: what happens from now on is no failure to start.
  void OnHello() { said_hello_ = true; }
  /// It serves: the next one is started without a delay.
  void OnReady() { ready_ = true; }
  /// Passes a signal on; the second time it is SIGKILL. From then on its end is the node's end.
  void Stop(int signal);
  [[nodiscard]] bool Owns(pid_t pid) const { return child_ && child_.pid == pid; }

 private:
  void OnExit();
  void StartAgain();

  EventLoop& loop_;
  std::vector<std::string> command_;
  User user_;
  Events events_;
  sandbox::Child child_;
  EventLoop::TimerId restart_;
  std::chrono::milliseconds delay_{0};
  int silent_crashes_ = 0;
  bool said_hello_ = false;
  bool ready_ = false;
  bool stopping_ = false;
};

}  // namespace hybridserve::launcher

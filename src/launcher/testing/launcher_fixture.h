// LauncherFixture: a real launcher over a temporary state folder, with stub programs beside it, and
// a client on the socket of its stub server.
//
// Thread rule: one thread.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/unique_fd.h"
#include "launcher/client.h"
#include "sandbox/process.h"

namespace hybridserve::launcher {

class LauncherFixture : public testing::Test {
 protected:
  void TearDown() override;

  /// Starts the launcher; `flags` come before "--". As another user and group with `uid` != 0.
  void StartLauncher(std::vector<std::string> flags = {}, uid_t uid = 0, gid_t gid = 0);
  /// Takes the socket of the next server that starts, and makes `client_` on it.
  void AcceptServer();
  /// The same without a client: the raw socket.
  UniqueFd AcceptSocket();
  /// What the stub server is to do; see stub_server.cc.
  void TellServer(char command);
  /// Waits for the launcher's end; its status.
  int WaitForLauncher();
  void SignalLauncher(int signal) { sandbox::Kill(launcher_, signal); }

  /// Runs the loop until the call has ended.
  template <typename T>
  Result<T> Wait(Awaitable<T> call);
  /// Runs the loop until `done` says so, at most 20 seconds.
  bool RunUntil(const std::function<bool()>& done);

  [[nodiscard]] std::filesystem::path state() const { return folder_.path() / "state"; }
  [[nodiscard]] std::filesystem::path programs() const { return folder_.path() / "bin"; }
  /// Host pids of the launcher's children.
  [[nodiscard]] std::vector<pid_t> Children() const;

  TemporaryFolder folder_;
  boost::asio::io_context loop_;
  sandbox::Child launcher_;
  UniqueFd listener_;
  UniqueFd server_;
  pid_t server_pid_ = -1;
  uid_t server_uid_ = 0;
  std::unique_ptr<LauncherClient> client_;
  std::vector<SandboxExit> exits_;
  std::vector<std::pair<ExecutorId, int>> executor_exits_;
  bool gone_ = false;
  bool root_ = ::geteuid() == 0;
};

}  // namespace hybridserve::launcher

#include "launcher/testing/launcher_fixture_inl.h"

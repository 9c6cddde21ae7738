#include "admin/access.h"

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "base/unique_fd.h"

namespace hybridserve {
namespace {

using testing::HasSubstr;

// What CheckPeer says of a process with these credentials that connects to us.
class PeerTest : public testing::Test {
 protected:
  Result<> Connect(uid_t uid, gid_t gid, std::vector<gid_t> groups) {
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{AF_UNIX, {}};
    const std::string path = folder_.path() / "socket";
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    ::unlink(path.c_str());
    if (::bind(listener.get(), generic, sizeof(address)) != 0) return FailErrno("bind");
    ::chmod(path.c_str(), 0666);
    ::chmod(folder_.path().c_str(), 0755);
    if (::listen(listener.get(), 1) != 0) return FailErrno("listen");
    const pid_t child = ::fork();
    if (child == 0) {
      const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM, 0));
      const bool good = ::setgroups(groups.size(), groups.data()) == 0 && ::setgid(gid) == 0 &&
                        ::setuid(uid) == 0 &&
                        ::connect(client.get(), generic, sizeof(address)) == 0;
      char byte = 0;
      if (good) (void)!::read(client.get(), &byte, 1);  // Until it is looked at.
      ::_exit(good ? 0 : 1);
    }
    UniqueFd server(::accept(listener.get(), nullptr, nullptr));
    Result<> allowed = CheckPeer(server.get());
    server.Reset();
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    return allowed;
  }

  TemporaryFolder folder_;
};

TEST_F(PeerTest, ThisUserMayCome) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const UniqueFd a(pair[0]);
  const UniqueFd b(pair[1]);
  EXPECT_TRUE(CheckPeer(a.get()));
}

TEST_F(PeerTest, MembersOfTheServersGroupMayComeAndStrangersNot) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can play other users";
  const gid_t ours = ::getegid();
  EXPECT_TRUE(Connect(4321, ours, {}));
  EXPECT_TRUE(Connect(4321, 4321, {1111, ours}));
  const Result<> stranger = Connect(4321, 4321, {1111});
  ASSERT_FALSE(stranger);
  EXPECT_EQ(stranger.error().code, Code::kForbidden);
  EXPECT_THAT(stranger.error().message, HasSubstr("user 4321 may not use the admin API"));
}

}  // namespace
}  // namespace hybridserve

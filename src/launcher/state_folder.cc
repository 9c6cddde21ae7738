#include "launcher/state_folder.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <vector>

#include "base/digest.h"
#include "base/file.h"

namespace hybridserve::launcher {
namespace {

constexpr uid_t kDefaultServerUid = 64100;

Result<User> LookUp(const std::string& name) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(64 * 1024);
  (void)::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return User{found->pw_uid, found->pw_gid};
  uid_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error == std::errc() && end == name.data() + name.size()) return User{number, number};
  if (name == "hybridserve") return User{kDefaultServerUid, kDefaultServerUid};
  return Fail(Code::kInvalidArgument,
              "there is no user '" + name + "'; create it, or name another with --user");
}

Result<> Own(const std::filesystem::path& path, const User& user, mode_t mode) {
  if (::geteuid() == 0 && ::lchown(path.c_str(), user.uid, user.gid) != 0) {
    return FailErrno("chown " + path.string());
  }
  if (::chmod(path.c_str(), mode) != 0) return FailErrno("chmod " + path.string());
  return {};
}

Result<UniqueFd> Lock(const std::filesystem::path& path) {
  TRY_ASSIGN(UniqueFd lock, OpenFile(path / "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  TRY_ASSIGN(const bool ours, TryLock(lock.get()));
  if (!ours) {
    std::array<char, 32> pid{};
    (void)!::pread(lock.get(), pid.data(), pid.size() - 1, 0);
    return Fail(Code::kConflict, "another node (pid " + std::string(pid.data()) +
                                     ") already uses the state folder " + path.string() +
                                     "; stop it, or start this one with another --state-folder");
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(lock.get(), 0) != 0) return FailErrno("truncate the lock");
  TRY(WriteAll(lock.get(), pid));
  return lock;
}

}  // namespace

Result<User> FindServerUser(const std::string& name) {
  if (::geteuid() != 0) return User{::geteuid(), ::getegid()};
  TRY_ASSIGN(const User user, LookUp(name));
  if (user.uid == 0) {
    return Fail(Code::kInvalidArgument,
                "the server does not run as root; name an ordinary user with --user");
  }
  return user;
}

Result<StateFolder> StateFolder::Open(const std::filesystem::path& path, const User& server) {
  TRY(MakeFolder(path, 0711));
  std::error_code error;
  std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) return FailErrno("resolve " + path.string(), error.value());
  TRY_ASSIGN(UniqueFd lock, Lock(real));
  TRY(MakeFolder(real / "server", 0711));
  TRY(Own(real / "server", server, 0711));
  TRY(MakeFolder(real / "images", 0700));
  // What the server makes durable lies below these names.
  TRY(SyncFolder(real));
  // Where this user may not look, the folder was made by another.
  const Result<> above = SyncFolder(real.parent_path());
  if (!above && above.error().code != Code::kForbidden) return tl::unexpected(above.error());
  return StateFolder(std::move(real), std::move(lock));
}

std::string StateFolder::Tag() const { return Sha256(path_.string()).value.substr(0, 12); }

}  // namespace hybridserve::launcher

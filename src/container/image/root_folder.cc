#include "container/image/root_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

namespace hybridserve {
namespace {

constexpr size_t kMaxPathBytes = 4095;
constexpr size_t kMaxNameBytes = 255;
constexpr int kMaxDepth = 256;
constexpr uid_t kNobody = 65534;
constexpr uid_t kMaxId = 65535;

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

uid_t KnownId(uid_t id) { return id <= kMaxId ? id : kNobody; }

bool IsFolder(int folder, const std::string& name) {
  struct stat status {};
  return fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISDIR(status.st_mode);
}

/// The names in an open folder.
Result<std::vector<std::string>> ListNames(const UniqueFd& fd) {
  const int copy = fcntl(fd.get(), F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return FailErrno("open a folder of the image");
  const std::unique_ptr<DIR, CloseFolder> folder(fdopendir(copy));
  if (!folder) {
    close(copy);
    return FailErrno("list a folder of the image");
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(folder.get())) {  // NOLINT: one thread
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) return FailErrno("list a folder of the image");
  return names;
}

Result<UniqueFd> OpenFolderAt(int folder, const std::string& name) {
  UniqueFd fd(openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return FailErrno("open the folder '" + name + "' of the image");
  return fd;
}

/// Removes what is in the open folder `fd`, whose path is `path`.
Result<> Empty(const UniqueFd& fd, const std::string& path, int depth,
               const std::function<bool(const std::string&)>& keep) {
  if (depth > kMaxDepth) {
    return Fail(Code::kInvalidArgument, "its folders are nested too deeply");
  }
  TRY_ASSIGN(const std::vector<std::string> names, ListNames(fd));
  for (const std::string& name : names) {
    const std::string below = path.empty() ? name : path + "/" + name;
    const bool kept = keep && keep(below);
    if (IsFolder(fd.get(), name)) {
      TRY_ASSIGN(const UniqueFd child, OpenFolderAt(fd.get(), name));
      TRY(Empty(child, below, depth + 1, keep));
      if (!kept && unlinkat(fd.get(), name.c_str(), AT_REMOVEDIR) != 0) {
        return FailErrno("remove '" + below + "'");
      }
    } else if (!kept && unlinkat(fd.get(), name.c_str(), 0) != 0) {
      return FailErrno("remove '" + below + "'");
    }
  }
  return {};
}

}  // namespace

Result<std::string> CleanPath(std::string_view path) {
  const std::string shown(path.substr(0, 200));
  if (path.starts_with('/')) {
    return Fail(Code::kInvalidArgument, "the layer entry '" + shown + "' has an absolute path");
  }
  if (path.size() > kMaxPathBytes || path.find('\0') != std::string_view::npos) {
    return Fail(Code::kInvalidArgument, "the layer entry '" + shown + "...' has too long a path");
  }
  std::string clean;
  int depth = 0;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      return Fail(Code::kInvalidArgument,
                  "the layer entry '" + shown + "' leaves the image by '..'");
    }
    if (part.size() > kMaxNameBytes) {
      return Fail(Code::kInvalidArgument, "the layer entry '" + shown + "...' has too long a name");
    }
    if (++depth > kMaxDepth) {
      return Fail(Code::kInvalidArgument, "the layer entry '" + shown + "...' lies too deep");
    }
    if (!clean.empty()) clean += '/';
    clean += part;
  }
  return clean;
}

Result<> SetAttributes(int fd, const FileAttributes& attributes, const std::string& path) {
  if (fchown(fd, KnownId(attributes.uid), KnownId(attributes.gid)) != 0) {
    return FailErrno("set the owner of '" + path + "'");
  }
  if (fchmod(fd, attributes.mode & 01777) != 0) return FailErrno("set the mode of '" + path + "'");
  const timespec times[2] = {attributes.modified, attributes.modified};
  if (futimens(fd, times) != 0) return FailErrno("set the time of '" + path + "'");
  return {};
}

Result<UniqueFd> RootFolder::OpenBelow(const std::string& path, int flags) const {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  UniqueFd fd(static_cast<int>(syscall(SYS_openat2, fd_, name, &how, sizeof(how))));
  if (!fd) return FailErrno("open '" + path + "' of the image");
  return fd;
}

Result<UniqueFd> RootFolder::MakeFolders(const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY;
  if (auto there = OpenBelow(path, kFlags); there || there.error().code != Code::kNotFound) {
    return there;
  }
  const size_t slash = path.rfind('/');
  TRY_ASSIGN(const UniqueFd parent,
             MakeFolders(slash == std::string::npos ? "" : path.substr(0, slash)));
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (mkdirat(parent.get(), name.c_str(), 0755) != 0) {
    if (errno == EEXIST) {
      return Fail(Code::kInvalidArgument,
                  "a layer entry lies in '" + path + "', a link that leads nowhere in the image");
    }
    return FailErrno("make the folder '" + path + "'");
  }
  ++implied_folders_;
  return OpenBelow(path, kFlags);
}

Result<RootFolder::Place> RootFolder::Find(const std::string& path, Missing missing) {
  const size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
  Place place{fd_, slash == std::string::npos ? path : path.substr(slash + 1)};
  if (parent.empty()) {
    cached_.Reset();
    return place;
  }
  if (!cached_ || cached_path_ != parent) {
    cached_.Reset();
    TRY_ASSIGN(cached_, missing == Missing::kCreate ? MakeFolders(parent)
                                                    : OpenBelow(parent, O_RDONLY | O_DIRECTORY));
    cached_path_ = parent;
  }
  place.folder = cached_.get();
  return place;
}

Result<> RootFolder::RemoveAt(int folder, const std::string& name) {
  if (unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return FailErrno("remove '" + name + "'");
  TRY_ASSIGN(const UniqueFd child, OpenFolderAt(folder, name));
  TRY(Empty(child, name, 0, nullptr));
  if (unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0) return FailErrno("remove '" + name + "'");
  return {};
}

Result<UniqueFd> RootFolder::CreateFile(const std::string& path) {
  if (path.empty()) return Fail(Code::kInvalidArgument, "a layer entry replaces the root folder");
  TRY_ASSIGN(const Place place, Find(path, Missing::kCreate));
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd fd(openat(place.folder, place.name.c_str(), kFlags, 0600));
  if (!fd && errno == EEXIST) {
    TRY(RemoveAt(place.folder, place.name));
    fd.Reset(openat(place.folder, place.name.c_str(), kFlags, 0600));
  }
  if (!fd) return FailErrno("create '" + path + "'");
  return fd;
}

Result<> RootFolder::MakeFolder(const std::string& path, const FileAttributes& attributes) {
  if (path.empty()) return SetAttributes(fd_, attributes, "/");
  TRY_ASSIGN(const Place place, Find(path, Missing::kCreate));
  if (!IsFolder(place.folder, place.name)) {
    TRY(RemoveAt(place.folder, place.name));
    if (mkdirat(place.folder, place.name.c_str(), 0700) != 0) {
      return FailErrno("make the folder '" + path + "'");
    }
  }
  TRY_ASSIGN(const UniqueFd fd, OpenFolderAt(place.folder, place.name));
  return SetAttributes(fd.get(), attributes, path);
}

Result<> RootFolder::MakeSymlink(const std::string& path, const std::string& target,
                                 const FileAttributes& attributes) {
  if (path.empty()) return Fail(Code::kInvalidArgument, "a layer entry replaces the root folder");
  TRY_ASSIGN(const Place place, Find(path, Missing::kCreate));
  TRY(RemoveAt(place.folder, place.name));
  if (symlinkat(target.c_str(), place.folder, place.name.c_str()) != 0) {
    return FailErrno("make the link '" + path + "'");
  }
  if (fchownat(place.folder, place.name.c_str(), KnownId(attributes.uid), KnownId(attributes.gid),
               AT_SYMLINK_NOFOLLOW) != 0) {
    return FailErrno("set the owner of '" + path + "'");
  }
  return {};
}

Result<> RootFolder::MakeHardLink(const std::string& path, const std::string& target) {
  if (path.empty() || target.empty()) {
    return Fail(Code::kInvalidArgument, "a layer's hard link names the root folder");
  }
  if (path == target)
    return Fail(Code::kInvalidArgument, "the hard link '" + path + "' is to itself");
  const size_t slash = target.rfind('/');
  auto folder =
      OpenBelow(slash == std::string::npos ? "" : target.substr(0, slash), O_RDONLY | O_DIRECTORY);
  const std::string name = slash == std::string::npos ? target : target.substr(slash + 1);
  struct stat status {};
  if (!folder || fstatat(folder->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return Fail(Code::kInvalidArgument,
                "the hard link '" + path + "' is to '" + target + "', which is not in the image");
  }
  if (S_ISDIR(status.st_mode)) {
    return Fail(Code::kInvalidArgument,
                "the hard link '" + path + "' is to the folder '" + target + "'");
  }
  TRY_ASSIGN(const Place place, Find(path, Missing::kCreate));
  struct stat there {};
  if (fstatat(place.folder, place.name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0) {
    if (there.st_ino == status.st_ino && there.st_dev == status.st_dev) return {};
    TRY(RemoveAt(place.folder, place.name));
  }
  if (linkat(folder->get(), name.c_str(), place.folder, place.name.c_str(), 0) != 0) {
    return FailErrno("link '" + path + "' to '" + target + "'");
  }
  return {};
}

Result<> RootFolder::Remove(const std::string& path) {
  auto place = Find(path, Missing::kFail);
  if (!place) {
    if (place.error().code == Code::kNotFound) return {};
    return tl::unexpected(std::move(place.error()));
  }
  TRY(RemoveAt(place->folder, place->name));
  cached_.Reset();
  return {};
}

Result<> RootFolder::RemoveContent(const std::string& path,
                                   const std::function<bool(const std::string&)>& keep) {
  auto fd = OpenBelow(path, O_RDONLY | O_DIRECTORY);
  cached_.Reset();
  if (!fd) {
    if (fd.error().code == Code::kNotFound) return {};
    return tl::unexpected(std::move(fd.error()));
  }
  return Empty(*fd, path, 0, keep);
}

Result<std::string> RootFolder::Read(const std::string& path, uint64_t max_bytes) const {
  TRY_ASSIGN(const UniqueFd fd, OpenBelow(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return FailErrno("stat '" + path + "'");
  if (!S_ISREG(status.st_mode)) {
    return Fail(Code::kInvalidArgument, "'" + path + "' in the image is not a regular file");
  }
  if (static_cast<uint64_t>(status.st_size) > max_bytes) {
    return Fail(Code::kTooLarge, "'" + path + "' in the image has more than " +
                                     std::to_string(max_bytes) + " bytes");
  }
  std::string content(static_cast<size_t>(status.st_size), '\0');
  const ssize_t got = pread(fd.get(), content.data(), content.size(), 0);
  if (got < 0) return FailErrno("read '" + path + "'");
  content.resize(static_cast<size_t>(got));
  return content;
}

}  // namespace hybridserve

#include "container/agent/bundle/bundle_folder.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "sandbox/mounts.h"

namespace hybridserve {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr uint64_t kNoSuidNoDev = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
constexpr uint64_t kMinDiskBytes = 64 * 1024;
constexpr const char* kMounts[] = {"rootfs", "lower", "scratch"};  // the last mounted first
constexpr const char* kFiles[] = {"config.json", "note.json", "log", "pid", "error"};

// Back in the folder that was the current one, however the work ends.
class InFolder {
 public:
  static Result<InFolder> Enter(const fs::path& folder) {
    InFolder in;
    TRY_ASSIGN(in.before_, OpenFile(".", O_PATH | O_DIRECTORY));
    if (::chdir(folder.c_str()) != 0) return FailErrno("enter " + folder.string());
    return in;
  }
  ~InFolder() {
    // What is relative from here on would be in a container's folder.
    if (before_ && ::fchdir(before_.get()) != 0) std::abort();
  }
  InFolder(InFolder&&) noexcept = default;
  InFolder& operator=(InFolder&&) = delete;

 private:
  InFolder() = default;
  UniqueFd before_;
};

// "localhost" and the container's own name. Skipped where the image's /etc is not a folder.
Result<> WriteHosts(const std::string& host_name) {
  struct stat etc {};
  const bool has_etc = ::lstat("lower/etc", &etc) == 0;
  if (has_etc && !S_ISDIR(etc.st_mode)) return {};
  TRY(sandbox::MakeFolderAt("scratch/upper/etc", has_etc ? etc.st_mode & 07777 : 0755));
  if (has_etc && ::chown("scratch/upper/etc", etc.st_uid, etc.st_gid) != 0) {
    return FailErrno("chown etc");
  }
  TRY_ASSIGN(const UniqueFd hosts, OpenFile("scratch/upper/etc/hosts", O_WRONLY | O_CREAT | O_EXCL));
  return WriteAll(hosts.get(), "127.0.0.1\tlocalhost " + host_name + "\n::1\tlocalhost\n");
}

// Real folders in the upper layer hide whatever else the image has under these names.
Result<> MakeScratch(const SandboxSpec& spec) {
  const uint64_t bytes = std::max(spec.disk_bytes, kMinDiskBytes);
  const uint64_t inodes = std::clamp<uint64_t>(bytes / 1024, 1024, 1u << 20);
  TRY(sandbox::MountTmpfs("scratch", bytes, inodes, kNoSuidNoDev));
  for (const char* folder : {"upper", "work", "upper/proc", "upper/dev", "upper/run", "upper/sys"}) {
    TRY(sandbox::MakeFolderAt(("scratch/" + std::string(folder)).c_str(), 0755));
  }
  for (const char* folder : {"tmp", "shm", "upper/tmp"}) {
    TRY(sandbox::MakeFolderAt(("scratch/" + std::string(folder)).c_str(), 01777));
  }
  TRY(sandbox::MakeFolderAt("scratch/run", 0755));
  if (::chown("scratch/run", spec.uid, spec.gid) != 0) return FailErrno("chown run");
  return {};
}

}  // namespace

Result<> MakeBundleFolder(const fs::path& folder, const SandboxSpec& spec, const fs::path& image,
                          int owners) {
  const Result<UniqueFd> root = OpenFile(image, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (!root) {
    return Fail(Code::kNotFound, "there is no unpacked image " + spec.image.value);
  }
  TRY(MakeFolder(folder, 0700));
  TRY_ASSIGN(const InFolder in, InFolder::Enter(folder));
  for (const char* mount : kMounts) TRY(sandbox::MakeFolderAt(mount, 0755));
  TRY_ASSIGN(const UniqueFd tree,
             sandbox::CloneTree(root->get(), owners, kNoSuidNoDev | MOUNT_ATTR_RDONLY));
  TRY(sandbox::AttachTree(tree.get(), "lower"));
  TRY(MakeScratch(spec));
  TRY(WriteHosts(spec.name));
  TRY(sandbox::MountNew("overlay", "rootfs", kNoSuidNoDev,
                        "lowerdir=lower,upperdir=scratch/upper,workdir=scratch/work"));
  if (::mkfifo("log", 0600) != 0) return FailErrno("make a pipe for a container's log");
  return {};
}

Result<UniqueFd> OpenBundleLog(const fs::path& folder) {
  return OpenFile(folder / "log", O_RDONLY | O_NONBLOCK);
}

Result<> WriteBundleNote(const fs::path& folder, const BundleNote& note) {
  const Json json = {{"id", note.id.value},
                     {"label", note.label},
                     {"image", note.image.value},
                     {"pid", note.pid}};
  return WriteFileAtomically(folder / "note.json", json.dump(), 0600);
}

Result<BundleNote> ReadBundleNote(const fs::path& folder) {
  const fs::path path = folder / "note.json";
  TRY_ASSIGN(const std::string text, ReadFile(path, 64 * 1024));
  const Json json = Json::parse(text, nullptr, false);
  const auto is = [&json](const char* key, Json::value_t type) {
    return json.is_object() && json.contains(key) && json[key].type() == type;
  };
  if (!is("id", Json::value_t::number_unsigned) || !is("label", Json::value_t::string) ||
      !is("image", Json::value_t::string) || !is("pid", Json::value_t::number_unsigned)) {
    return Fail(Code::kCorrupt, path.string() + " is not what was written there");
  }
  BundleNote note;
  note.id.value = json["id"];
  note.label = json["label"];
  note.image.value = json["image"];
  note.pid = json["pid"];
  return note;
}

Result<> RemoveBundleFolder(const fs::path& folder) {
  // Never what is in a mount: rmdir refuses one, and no folder is emptied.
  for (const char* mount : kMounts) {
    const fs::path path = folder / mount;
    (void)::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    (void)::rmdir(path.c_str());
  }
  for (const char* file : kFiles) (void)::unlink((folder / file).c_str());
  if (::rmdir(folder.c_str()) == 0 || errno == ENOENT) return {};
  return FailErrno("remove " + folder.string());
}

}  // namespace hybridserve

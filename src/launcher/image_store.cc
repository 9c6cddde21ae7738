#include "launcher/image_store.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

#include "base/file.h"
#include "sandbox/id_range.h"

namespace hybridserve::launcher {
namespace {

constexpr uint64_t kMaxConfigBytes = 64 * 1024;

uint64_t walked_bytes = 0;  // nftw passes no argument on; a worker is a process of its own.

int AddSize(const char*, const struct stat* info, int, FTW*) {
  if (S_ISREG(info->st_mode)) walked_bytes += static_cast<uint64_t>(info->st_blocks) * 512;
  return 0;
}

// What the tree takes on disk. Does not follow links or leave the file system.
Result<uint64_t> MeasureTree(const std::filesystem::path& root) {
  walked_bytes = 0;
  if (::nftw(root.c_str(), &AddSize, 64, FTW_PHYS | FTW_MOUNT) != 0) {
    return FailErrno("measure " + root.string());
  }
  return walked_bytes;
}

Result<> SyncFileSystem(const std::filesystem::path& path) {
  TRY_ASSIGN(const UniqueFd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  if (::syncfs(fd.get()) != 0) return FailErrno("sync the file system of " + path.string());
  return {};
}

}  // namespace

Result<UnpackedImage> ReadImage(const std::filesystem::path& store, const Digest& image) {
  const std::filesystem::path folder = store / image.value;
  UnpackedImage read;
  read.image = image;
  TRY_ASSIGN(read.config_json, ReadFile(folder / "config.json", kMaxConfigBytes));
  TRY_ASSIGN(const std::string bytes, ReadFile(folder / "bytes", 64));
  std::from_chars(bytes.data(), bytes.data() + bytes.size(), read.bytes);
  return read;
}

Result<> PrepareImageFolder(const std::filesystem::path& folder) {
  TRY(MakeFolder(folder, 0700));
  const std::filesystem::path root = folder / "rootfs";
  TRY(MakeFolder(root, 0755));
  if (::lchown(root.c_str(), sandbox::kOwnerBase, sandbox::kOwnerBase) != 0) {
    return FailErrno("chown " + root.string());
  }
  return {};
}

Result<UnpackedImage> CompleteImage(const std::filesystem::path& store, const Digest& image,
                                    const std::filesystem::path& folder, std::string config_json) {
  UnpackedImage complete;
  complete.image = image;
  TRY_ASSIGN(complete.bytes, MeasureTree(folder / "rootfs"));
  TRY(WriteFileAtomically(folder / "config.json", config_json, 0600));
  TRY(WriteFileAtomically(folder / "bytes", std::to_string(complete.bytes), 0600));
  TRY(SyncFileSystem(folder));
  const std::filesystem::path target = store / image.value;
  if (::rename(folder.c_str(), target.c_str()) != 0) {
    return FailErrno("rename " + folder.string() + " to " + target.string());
  }
  TRY_ASSIGN(const UniqueFd store_fd, OpenFile(store, O_RDONLY | O_DIRECTORY));
  if (::fsync(store_fd.get()) != 0) return FailErrno("sync " + store.string());
  complete.config_json = std::move(config_json);
  return complete;
}

}  // namespace hybridserve::launcher

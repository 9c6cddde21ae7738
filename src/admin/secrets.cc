#include "admin/secrets.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/file.h"
#include "base/regular_file.h"
#include "base/unique_fd.h"
#include "function/bounds.h"
#include "function/units.h"

namespace hybridserve {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxSecretBytes = 16 * 1024;

// Whether the open file lies below `folder`, by the path that the kernel knows it by.
bool LiesBelow(int fd, const fs::path& folder) {
  std::error_code error;
  const fs::path file = fs::read_symlink("/proc/self/fd/" + std::to_string(fd), error);
  const fs::path below = fs::weakly_canonical(folder, error);
  const fs::path relative = file.lexically_relative(below);
  return !relative.empty() && *relative.begin() != "..";
}

Result<std::string> ReadSecret(const std::string& path, const fs::path& state_folder,
                               std::span<const NodeFile> node_files) {
  // Not blocking: a path may name a pipe that nobody writes to.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  const int error = errno;
  if (!fd) {
    return Fail(Code::kInvalidArgument, "cannot be read (" +
                                            std::generic_category().message(error) +
                                            "); the node's server reads it, as user " + ThisUser());
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return Fail(Code::kInvalidArgument, "is not a regular file");
  }
  struct statfs system {};
  if (::fstatfs(fd.get(), &system) != 0 || system.f_type == PROC_SUPER_MAGIC ||
      system.f_type == SYSFS_MAGIC) {
    return Fail(Code::kInvalidArgument, "is a file of the kernel, not of a disk");
  }
  for (const NodeFile& node_file : node_files) {
    struct stat own {};
    if (::stat(node_file.path.c_str(), &own) == 0 && own.st_dev == status.st_dev &&
        own.st_ino == status.st_ino) {
      return Fail(Code::kInvalidArgument, "is " + node_file.what);
    }
  }
  if (LiesBelow(fd.get(), state_folder)) {
    return Fail(Code::kInvalidArgument, "lies in the node's state folder; keep secrets elsewhere");
  }
  std::string value(kMaxSecretBytes + 1, '\0');
  size_t bytes = 0;
  while (bytes < value.size()) {
    const ssize_t got = ::read(fd.get(), value.data() + bytes, value.size() - bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return Fail(Code::kInvalidArgument,
                  "cannot be read (" + std::generic_category().message(errno) + ")");
    }
    if (got == 0) break;
    bytes += static_cast<size_t>(got);
  }
  value.resize(bytes);
  if (bytes > kMaxSecretBytes) return Fail(Code::kInvalidArgument, "has more than 16KiB");
  if (value.find('\0') != std::string::npos) {
    return Fail(Code::kInvalidArgument, "holds a zero byte, which no variable can");
  }
  if (value.ends_with('\n')) value.pop_back();
  return value;
}

}  // namespace

Result<std::map<std::string, std::string>> EnvironmentWithSecrets(
    const Manifest& manifest, const fs::path& state_folder, std::span<const NodeFile> node_files) {
  std::map<std::string, std::string> environment = manifest.environment;
  for (const auto& [name, path] : manifest.secrets) {
    Result<std::string> value = ReadSecret(path, state_folder, node_files);
    if (!value) {
      return Fail(value.error().code, "secret " + name + ": the file " + Quote(path, 4096) + " " +
                                          value.error().message);
    }
    environment[name] = std::move(*value);
  }
  size_t bytes = 0;
  for (const auto& [name, value] : environment) bytes += name.size() + value.size() + 2;
  if (bytes > kMaxEnvironmentBytes) {
    return Fail(Code::kInvalidArgument, "environment and secrets have " + FormatSize(bytes) +
                                            " together; at most " +
                                            FormatSize(kMaxEnvironmentBytes) + " are allowed");
  }
  return environment;
}

Result<FunctionFiles> ReadFunctionFiles(const Manifest& manifest, const fs::path& state_folder,
                                        std::span<const NodeFile> node_files) {
  FunctionFiles files;
  TRY_ASSIGN(files.environment, EnvironmentWithSecrets(manifest, state_folder, node_files));
  if (manifest.access_keys.empty()) return files;
  Result<std::shared_ptr<KeyFile>> keys = KeyFile::Open(manifest.access_keys);
  if (!keys) {
    // Whoever deploys named a file that this node lacks: their request is at fault, as with
    // secrets.
    return Fail(Code::kInvalidArgument, "access.keys: " + keys.error().message);
  }
  files.keys = std::move(*keys);
  return files;
}

}  // namespace hybridserve

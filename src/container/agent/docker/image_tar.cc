#include "container/agent/docker/image_tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/file.h"

namespace hybridserve {
namespace {

namespace fs = std::filesystem;

struct Close {
  void operator()(archive* writer) const { archive_write_free(writer); }
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using Writer = std::unique_ptr<archive, Close>;
using Entry = std::unique_ptr<archive_entry, Close>;

tl::unexpected<Error> Failure(archive* writer, const std::string& path) {
  const char* const why = archive_error_string(writer);
  return Fail(Code::kInternal, "write " + path + " into an image: " + (why == nullptr ? "" : why));
}

// Of a file with several names, the first has the content and the others are links to it.
using Names = std::map<std::pair<dev_t, ino_t>, std::string>;

Result<> AddContent(archive* writer, const fs::path& path, const std::string& name) {
  TRY_ASSIGN(const UniqueFd file, OpenFile(path, O_RDONLY | O_NOFOLLOW));
  std::array<char, 64 * 1024> piece{};
  for (;;) {
    const ssize_t size = ::read(file.get(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FailErrno("read " + path.string());
    if (size == 0) return {};
    if (archive_write_data(writer, piece.data(), static_cast<size_t>(size)) < 0) {
      return Failure(writer, name);
    }
  }
}

Result<> Add(archive* writer, const fs::path& path, const std::string& name, uint32_t owner_base,
             Names& names) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return FailErrno("look at " + path.string());
  const bool is_file = S_ISREG(info.st_mode);
  if (!is_file && !S_ISDIR(info.st_mode) && !S_ISLNK(info.st_mode)) return {};
  const Entry entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_filetype(entry.get(), info.st_mode & S_IFMT);
  archive_entry_set_perm(entry.get(), info.st_mode & 07777);
  archive_entry_set_uid(entry.get(), info.st_uid >= owner_base ? info.st_uid - owner_base : 0);
  archive_entry_set_gid(entry.get(), info.st_gid >= owner_base ? info.st_gid - owner_base : 0);
  archive_entry_set_mtime(entry.get(), 0, 0);
  bool has_content = is_file;
  if (is_file && info.st_nlink > 1) {
    const auto [first, is_first] = names.try_emplace({info.st_dev, info.st_ino}, name);
    if (!is_first) archive_entry_set_hardlink(entry.get(), first->second.c_str());
    has_content = is_first;
  }
  if (S_ISLNK(info.st_mode)) {
    std::error_code error;
    archive_entry_set_symlink(entry.get(), fs::read_symlink(path, error).c_str());
  }
  archive_entry_set_size(entry.get(), has_content ? info.st_size : 0);
  if (archive_write_header(writer, entry.get()) != ARCHIVE_OK) return Failure(writer, name);
  return has_content ? AddContent(writer, path, name) : Result<>();
}

}  // namespace

Result<> WriteImageTar(const fs::path& rootfs, uint32_t owner_base, const fs::path& archive_path) {
  std::error_code error;
  if (!fs::is_directory(rootfs, error)) {
    return Fail(Code::kNotFound, "there is no unpacked image " + rootfs.string());
  }
  TRY_ASSIGN(const UniqueFd file, OpenFile(archive_path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  const Writer writer(archive_write_new());
  archive_write_set_format_pax_restricted(writer.get());
  if (archive_write_open_fd(writer.get(), file.get()) != ARCHIVE_OK) {
    return Failure(writer.get(), archive_path);
  }
  Names names;
  auto one = fs::recursive_directory_iterator(rootfs, error);
  for (; !error && one != fs::recursive_directory_iterator(); one.increment(error)) {
    const std::string name = one->path().lexically_relative(rootfs);
    TRY(Add(writer.get(), one->path(), name, owner_base, names));
  }
  if (error) return FailErrno("read " + rootfs.string(), error.value());
  if (archive_write_close(writer.get()) != ARCHIVE_OK) return Failure(writer.get(), archive_path);
  return {};
}

}  // namespace hybridserve

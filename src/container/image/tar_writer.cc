#include "container/image/tar_writer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace hybridserve {
namespace {

constexpr size_t kCopyBytes = 256 * 1024;

}  // namespace

Result<TarWriter> TarWriter::Open(int fd) {
  ArchiveWriter writer(archive_write_new());
  archive_write_set_format_pax_restricted(writer.get());
  archive_write_set_bytes_per_block(writer.get(), 0);
  if (archive_write_open_fd(writer.get(), fd) != ARCHIVE_OK) {
    return FailArchive(writer.get(), "cannot start a tar", Code::kInternal);
  }
  return TarWriter(std::move(writer));
}

Result<> TarWriter::AddFolder(const std::string& path, uint32_t mode) {
  return Header(path, AE_IFDIR, mode, 0);
}

Result<> TarWriter::AddFile(const std::string& path, uint32_t mode, std::string_view content) {
  TRY(Header(path, AE_IFREG, mode, content.size()));
  return Data(content, path);
}

Result<> TarWriter::AddFileFrom(const std::string& path, uint32_t mode, int source, uint64_t size) {
  TRY(Header(path, AE_IFREG, mode, size));
  std::vector<char> buffer(std::min<uint64_t>(size, kCopyBytes));
  for (uint64_t done = 0; done < size;) {
    const size_t want = std::min<uint64_t>(buffer.size(), size - done);
    const ssize_t got = pread(source, buffer.data(), want, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailErrno("read the source of " + path);
    if (got == 0) return Fail(Code::kConflict, path + ": its source shrank while it was packed");
    TRY(Data({buffer.data(), static_cast<size_t>(got)}, path));
    done += static_cast<uint64_t>(got);
  }
  return {};
}

Result<> TarWriter::Finish() {
  if (archive_write_close(writer_.get()) != ARCHIVE_OK) {
    return FailArchive(writer_.get(), "cannot finish the tar", Code::kInternal);
  }
  return {};
}

Result<> TarWriter::Header(const std::string& path, uint32_t type, uint32_t mode, uint64_t size) {
  ArchiveEntry entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), path.c_str());
  archive_entry_set_filetype(entry.get(), type);
  archive_entry_set_perm(entry.get(), static_cast<mode_t>(mode & 07777));
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
  archive_entry_set_mtime(entry.get(), 0, 0);
  if (archive_write_header(writer_.get(), entry.get()) != ARCHIVE_OK) {
    return FailArchive(writer_.get(), "cannot add " + path, Code::kInternal);
  }
  return {};
}

Result<> TarWriter::Data(std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const la_ssize_t put = archive_write_data(writer_.get(), bytes.data(), bytes.size());
    if (put <= 0) return FailArchive(writer_.get(), "cannot write " + path, Code::kInternal);
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

}  // namespace hybridserve

#include "container/image/layer.h"

#include <unistd.h>

#include <cerrno>

#include "container/image/byte_source.h"

namespace hybridserve {
namespace {

constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::string_view kReserved = ".wh..wh.";  // Other names are AUFS's own bookkeeping.
constexpr size_t kMaxNotes = 20;

FileAttributes AttributesOf(archive_entry* entry) {
  FileAttributes attributes;
  const la_int64_t uid = archive_entry_uid(entry);
  const la_int64_t gid = archive_entry_gid(entry);
  // Ids that fit no container are nobody's (SetAttributes).
  attributes.uid = uid >= 0 && uid <= UINT32_MAX ? static_cast<uid_t>(uid) : UINT32_MAX;
  attributes.gid = gid >= 0 && gid <= UINT32_MAX ? static_cast<gid_t>(gid) : UINT32_MAX;
  attributes.mode = archive_entry_perm(entry);
  attributes.modified.tv_sec = archive_entry_mtime(entry);
  const long nanoseconds = archive_entry_mtime_nsec(entry);
  attributes.modified.tv_nsec = nanoseconds >= 0 && nanoseconds < 1'000'000'000 ? nanoseconds : 0;
  return attributes;
}

Result<> WriteAt(int fd, const char* bytes, size_t size, uint64_t offset, const std::string& path) {
  while (size > 0) {
    const ssize_t put = pwrite(fd, bytes, size, static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return FailErrno("write '" + path + "'");
    bytes += put;
    size -= static_cast<size_t>(put);
    offset += static_cast<uint64_t>(put);
  }
  return {};
}

}  // namespace

Result<> LayerApplier::Apply(archive* tar, const Error& failure) {
  this_layer_.clear();
  while (true) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(tar, &entry);
    if (status == ARCHIVE_EOF) return {};
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
      return FailStream(tar, failure, "its tar cannot be read");
    }
    TRY(ApplyEntry(tar, entry, failure));
  }
}

Result<> LayerApplier::ApplyEntry(archive* tar, archive_entry* entry, const Error& failure) {
  const char* raw_path = archive_entry_pathname(entry);
  if (raw_path == nullptr) return Fail(Code::kInvalidArgument, "a layer entry's name is not UTF-8");
  TRY_ASSIGN(const std::string path, CleanPath(raw_path));
  const std::string name = path.substr(path.rfind('/') + 1);
  TRY(Count(0));
  if (name.starts_with(kWhiteoutPrefix)) return ApplyWhiteout(path, name);

  if (const char* target = archive_entry_hardlink(entry)) {
    TRY_ASSIGN(const std::string clean_target, CleanPath(target));
    TRY(root_.MakeHardLink(path, clean_target));
    return Remember(path);
  }
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      TRY(ApplyFile(tar, entry, path, failure));
      break;
    case AE_IFDIR:
      TRY(root_.MakeFolder(path, AttributesOf(entry)));
      break;
    case AE_IFLNK: {
      const char* target = archive_entry_symlink(entry);
      if (target == nullptr) {
        return Fail(Code::kInvalidArgument,
                    "the link '" + path + "' has a target that is not UTF-8");
      }
      TRY(root_.MakeSymlink(path, target, AttributesOf(entry)));
      break;
    }
    default:
      Note("left out '/" + path.substr(0, 200) + "': a device, FIFO or socket");
      return {};
  }
  return Remember(path);
}

Result<> LayerApplier::ApplyWhiteout(const std::string& path, const std::string& name) {
  const std::string folder = path.substr(0, path.size() - name.size());
  if (name == kOpaque) {
    const std::string clean = folder.empty() ? "" : folder.substr(0, folder.size() - 1);
    return root_.RemoveContent(clean,
                               [this](const std::string& below) { return IsOfThisLayer(below); });
  }
  if (name.starts_with(kReserved)) return {};
  const std::string hidden = name.substr(kWhiteoutPrefix.size());
  if (hidden.empty() || hidden == "." || hidden == "..") {
    return Fail(Code::kInvalidArgument, "the whiteout '" + path + "' names no file");
  }
  if (IsOfThisLayer(folder + hidden)) return {};
  return root_.Remove(folder + hidden);
}

Result<> LayerApplier::ApplyFile(archive* tar, archive_entry* entry, const std::string& path,
                                 const Error& failure) {
  const la_int64_t declared = archive_entry_size(entry);
  if (declared < 0) return Fail(Code::kInvalidArgument, "'" + path + "' has a negative size");
  const auto size = static_cast<uint64_t>(declared);
  TRY(Count(size));
  TRY_ASSIGN(const UniqueFd file, root_.CreateFile(path));
  while (true) {
    const void* bytes = nullptr;
    size_t count = 0;
    la_int64_t offset = 0;
    const int status = archive_read_data_block(tar, &bytes, &count, &offset);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK) return FailStream(tar, failure, "'" + path + "' cannot be read");
    if (offset < 0 || static_cast<uint64_t>(offset) > size ||
        count > size - static_cast<uint64_t>(offset)) {
      return Fail(Code::kInvalidArgument, "'" + path + "' is longer than its header says");
    }
    TRY(WriteAt(file.get(), static_cast<const char*>(bytes), count, static_cast<uint64_t>(offset),
                path));
  }
  // A hole at the end is not in the data.
  if (ftruncate(file.get(), declared) != 0) return FailErrno("set the size of '" + path + "'");
  return SetAttributes(file.get(), AttributesOf(entry), path);
}

/// Counts an entry (`bytes` 0), or the bytes of one counted already.
Result<> LayerApplier::Count(uint64_t bytes) {
  if (bytes > limits_.bytes - config_.bytes) {
    return Fail(Code::kTooLarge,
                "its layers unpack to more than " + std::to_string(limits_.bytes) + " bytes");
  }
  config_.bytes += bytes;
  if (bytes == 0) ++config_.files;
  if (config_.files + root_.implied_folders() > limits_.files) {
    return Fail(Code::kTooLarge,
                "its layers unpack to more than " + std::to_string(limits_.files) + " files");
  }
  return {};
}

Result<> LayerApplier::Remember(const std::string& path) {
  std::string_view rest = path;
  while (!rest.empty() && this_layer_.insert(std::hash<std::string_view>()(rest)).second) {
    const size_t slash = rest.rfind('/');
    rest = rest.substr(0, slash == std::string_view::npos ? 0 : slash);
  }
  // Paths through links may name more folders than there are.
  if (this_layer_.size() > 4 * limits_.files) {
    return Fail(Code::kTooLarge, "a layer's entries lie in too many folders");
  }
  return {};
}

bool LayerApplier::IsOfThisLayer(const std::string& path) const {
  return this_layer_.contains(std::hash<std::string_view>()(path));
}

void LayerApplier::Note(std::string note) {
  if (++notes_ < kMaxNotes) config_.notes.push_back(std::move(note));
  if (notes_ == kMaxNotes) config_.notes.emplace_back("more entries were left out");
}

}  // namespace hybridserve

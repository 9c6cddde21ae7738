#include "container/image/image_archive.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace hybridserve {
namespace {

constexpr uint64_t kMaxEntries = 10000;
constexpr size_t kBlockBytes = 128 * 1024;

Result<ArchiveReader> OpenFromStart(int fd) {
  if (lseek(fd, 0, SEEK_SET) != 0) return FailErrno("seek in the image archive");
  ArchiveReader reader(archive_read_new());
  archive_read_support_format_tar(reader.get());
  if (archive_read_open_fd(reader.get(), fd, kBlockBytes) != ARCHIVE_OK) {
    return FailArchive(reader.get(), "the image archive cannot be read as a tar");
  }
  return reader;
}

/// The reader at its next entry; nullptr at the end.
Result<archive_entry*> NextEntry(archive* reader) {
  archive_entry* entry = nullptr;
  const int status = archive_read_next_header(reader, &entry);
  if (status == ARCHIVE_EOF) return nullptr;
  if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
    return FailArchive(reader, "the image archive cannot be read as a tar");
  }
  return entry;
}

/// "./a//b" as "a/b"; what would leave the archive keeps its ".." and is never found.
std::string CleanName(const std::filesystem::path& name) {
  std::string clean = name.lexically_normal().generic_string();
  if (clean.ends_with('/')) clean.pop_back();
  return clean;
}

/// The content of one entry of a reader that stands on it.
class EntrySource : public ByteSource {
 public:
  EntrySource(ArchiveReader reader, std::string name)
      : reader_(std::move(reader)), name_(std::move(name)), zeros_(64 * 1024) {}

  Result<std::string_view> Next() override {
    if (gap_ > 0) return Zeros();
    if (!pending_.empty()) return std::exchange(pending_, {});
    const void* bytes = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    int status = ARCHIVE_OK;
    while (status == ARCHIVE_OK && size == 0) {
      status = archive_read_data_block(reader_.get(), &bytes, &size, &offset);
    }
    if (status == ARCHIVE_EOF) return std::string_view();
    if (status != ARCHIVE_OK) return FailArchive(reader_.get(), "'" + name_ + "' cannot be read");
    pending_ = {static_cast<const char*>(bytes), size};
    // A sparse entry: the hole before this block reads as zeros.
    if (static_cast<uint64_t>(offset) > position_) {
      gap_ = static_cast<uint64_t>(offset) - position_;
    }
    position_ += gap_ + size;
    return Next();
  }

 private:
  std::string_view Zeros() {
    const size_t size = std::min<uint64_t>(gap_, zeros_.size());
    gap_ -= size;
    return {zeros_.data(), size};
  }

  ArchiveReader reader_;
  std::string name_;
  std::vector<char> zeros_;
  uint64_t position_ = 0;
  uint64_t gap_ = 0;
  std::string_view pending_;
};

}  // namespace

Result<ImageArchive> ImageArchive::Open(int fd) {
  ImageArchive archive(fd);
  TRY(archive.Index());
  return archive;
}

Result<> ImageArchive::Index() {
  TRY_ASSIGN(const ArchiveReader reader, OpenFromStart(fd_));
  for (uint64_t ordinal = 0;; ++ordinal) {
    TRY_ASSIGN(archive_entry * entry, NextEntry(reader.get()));
    if (entry == nullptr) return {};
    if (ordinal >= kMaxEntries) {
      return Fail(Code::kTooLarge,
                  "the image archive has more than " + std::to_string(kMaxEntries) + " entries");
    }
    const char* raw_name = archive_entry_pathname(entry);
    if (raw_name == nullptr) continue;
    const std::string name = CleanName(raw_name);
    if (const char* target = archive_entry_hardlink(entry)) {
      entries_[name] = {ordinal, CleanName(target)};
    } else if (archive_entry_filetype(entry) == AE_IFREG) {
      entries_[name] = {ordinal, ""};
    } else if (archive_entry_filetype(entry) == AE_IFLNK) {
      const char* link = archive_entry_symlink(entry);
      const auto folder = std::filesystem::path(name).parent_path();
      entries_[name] = {ordinal, CleanName(folder / (link != nullptr ? link : ""))};
    }
  }
}

const ImageArchive::Entry* ImageArchive::Find(const std::string& name) const {
  auto found = entries_.find(CleanName(name));
  // `docker save` links a layer that is there twice; one step is all it needs.
  if (found != entries_.end() && !found->second.link_target.empty()) {
    found = entries_.find(found->second.link_target);
  }
  if (found == entries_.end() || !found->second.link_target.empty()) return nullptr;
  return &found->second;
}

bool ImageArchive::Has(const std::string& name) const { return Find(name) != nullptr; }

Result<std::unique_ptr<ByteSource>> ImageArchive::Stream(const std::string& name) const {
  const Entry* wanted = Find(name);
  if (wanted == nullptr) return Fail(Code::kNotFound, "the image archive has no '" + name + "'");
  TRY_ASSIGN(ArchiveReader reader, OpenFromStart(fd_));
  for (uint64_t ordinal = 0; ordinal <= wanted->ordinal; ++ordinal) {
    TRY_ASSIGN(archive_entry * entry, NextEntry(reader.get()));
    if (entry == nullptr)
      return Fail(Code::kConflict, "the image archive changed while it was read");
  }
  return std::make_unique<EntrySource>(std::move(reader), name);
}

Result<std::string> ImageArchive::Read(const std::string& name, uint64_t max_bytes) const {
  TRY_ASSIGN(const std::unique_ptr<ByteSource> source, Stream(name));
  std::string content;
  while (true) {
    TRY_ASSIGN(const std::string_view piece, source->Next());
    if (piece.empty()) return content;
    if (content.size() + piece.size() > max_bytes) {
      return Fail(Code::kTooLarge,
                  "'" + name + "' has more than " + std::to_string(max_bytes) + " bytes");
    }
    content.append(piece);
  }
}

}  // namespace hybridserve

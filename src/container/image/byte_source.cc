#include "container/image/byte_source.h"

#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/digest.h"

namespace hybridserve {
namespace {

constexpr size_t kReadBytes = 256 * 1024;

/// What libarchive's read callback needs; owned by the reader through its close callback.
struct Feed {
  ByteSource& from;
  Error& failure;
};

la_ssize_t ReadFeed(archive* reader, void* context, const void** bytes) {
  auto* feed = static_cast<Feed*>(context);
  auto piece = feed->from.Next();
  if (!piece) {
    feed->failure = std::move(piece.error());
    archive_set_error(reader, EIO, "%s", feed->failure.message.c_str());
    return ARCHIVE_FATAL;
  }
  *bytes = piece->data();
  return static_cast<la_ssize_t>(piece->size());
}

int CloseFeed(archive* /*reader*/, void* context) {
  delete static_cast<Feed*>(context);  // NOLINT: libarchive owned it.
  return ARCHIVE_OK;
}

Result<> OpenFeed(archive* reader, ByteSource& from, Error& failure, std::string_view doing) {
  auto feed = std::make_unique<Feed>(Feed{from, failure});
  // libarchive calls CloseFeed also when opening fails.
  if (archive_read_open(reader, feed.release(), nullptr, ReadFeed, CloseFeed) != ARCHIVE_OK) {
    return FailStream(reader, failure, doing);
  }
  return {};
}

}  // namespace

Result<> Drain(ByteSource& source) {
  while (true) {
    TRY_ASSIGN(const std::string_view piece, source.Next());
    if (piece.empty()) return {};
  }
}

FileSource::FileSource(int fd) : fd_(fd), buffer_(kReadBytes) {}

Result<std::string_view> FileSource::Next() {
  while (true) {
    const ssize_t got = pread(fd_, buffer_.data(), buffer_.size(), static_cast<off_t>(offset_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailErrno("read");
    offset_ += static_cast<uint64_t>(got);
    return std::string_view(buffer_.data(), static_cast<size_t>(got));
  }
}

HashingSource::HashingSource(ByteSource& from) : from_(from), context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
}

Result<std::string_view> HashingSource::Next() {
  auto piece = from_.Next();
  if (piece) EVP_DigestUpdate(context_.get(), piece->data(), piece->size());
  return piece;
}

Digest HashingSource::Finish() {
  std::array<uint8_t, 32> raw{};
  EVP_DigestFinal_ex(context_.get(), raw.data(), nullptr);
  return Digest{ToHex(raw)};
}

DecompressedSource::DecompressedSource(ByteSource& from, uint64_t& budget)
    : from_(from), budget_(budget) {}

Result<> DecompressedSource::Open() {
  reader_.reset(archive_read_new());
  archive_read_support_filter_gzip(reader_.get());
  archive_read_support_filter_zstd(reader_.get());
  archive_read_support_format_empty(reader_.get());
  archive_read_support_format_raw(reader_.get());
  TRY(OpenFeed(reader_.get(), from_, failure_, "cannot decompress"));
  archive_entry* entry = nullptr;
  const int status = archive_read_next_header(reader_.get(), &entry);
  if (status != ARCHIVE_OK && status != ARCHIVE_EOF) {
    return FailStream(reader_.get(), failure_, "cannot decompress");
  }
  return {};
}

Result<std::string_view> DecompressedSource::Next() {
  if (!reader_) TRY(Open());
  const void* bytes = nullptr;
  size_t size = 0;
  la_int64_t offset = 0;
  int status = ARCHIVE_OK;
  while (status == ARCHIVE_OK && size == 0) {
    status = archive_read_data_block(reader_.get(), &bytes, &size, &offset);
  }
  if (status == ARCHIVE_EOF) return std::string_view();
  if (status != ARCHIVE_OK) return FailStream(reader_.get(), failure_, "cannot decompress");
  if (size > budget_) {
    return Fail(Code::kTooLarge, "its layers unpack to more than the limit allows");
  }
  budget_ -= size;
  return std::string_view(static_cast<const char*>(bytes), size);
}

std::string DecompressedSource::Filter() const {
  const int code = reader_ ? archive_filter_code(reader_.get(), 0) : ARCHIVE_FILTER_NONE;
  if (code == ARCHIVE_FILTER_GZIP) return "gzip";
  return code == ARCHIVE_FILTER_ZSTD ? "zstd" : "";
}

Result<ArchiveReader> OpenTar(ByteSource& from, Error& failure) {
  ArchiveReader reader(archive_read_new());
  archive_read_support_format_empty(reader.get());
  archive_read_support_format_tar(reader.get());
  TRY(OpenFeed(reader.get(), from, failure, "cannot read the tar"));
  return reader;
}

tl::unexpected<Error> FailStream(archive* reader, const Error& failure, std::string_view doing) {
  if (!failure.message.empty()) return tl::unexpected(failure);
  return FailArchive(reader, doing);
}

}  // namespace hybridserve

#include "store/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <utility>

#include "base/digest.h"
#include "base/file.h"
#include "function/units.h"

namespace hybridserve {

namespace fs = std::filesystem;

namespace {

fs::path PathOf(const fs::path& folder, const Digest& digest) {
  return folder / "sha256" / digest.value.substr(0, 2) / digest.value;
}

Result<> CheckDigest(const Digest& digest) {
  if (IsDigest(digest.value)) return {};
  return Fail(Code::kInvalidArgument,
              Quote(digest.value) + " is not a SHA-256 digest of 64 lower-case hex digits");
}

tl::unexpected<Error> NoBlob(const Digest& digest) {
  return Fail(Code::kNotFound, "there is no blob " + digest.value + "; upload it first");
}

// The blob's name in its folder, and the folder's. Also of a blob that was there: a process that
// died, or another upload, may not have come as far as this.
Result<> SyncNames(const fs::path& blob) {
  TRY(SyncFolder(blob.parent_path()));
  return SyncFolder(blob.parent_path().parent_path());
}

// Leftovers of uploads that a crash cut off.
void EmptyFolder(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::error_code ignored;
    fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

BlobStore::Upload::Upload(fs::path folder, fs::path temporary, UniqueFd fd)
    : folder_(std::move(folder)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}

BlobStore::Upload& BlobStore::Upload::operator=(Upload&& other) noexcept {
  if (this != &other) {
    Discard();
    folder_ = std::move(other.folder_);
    temporary_ = std::move(other.temporary_);
    fd_ = std::move(other.fd_);
    bytes_ = other.bytes_;
  }
  return *this;
}

BlobStore::Upload::~Upload() { Discard(); }

void BlobStore::Upload::Discard() {
  if (!fd_) return;
  ::unlink(temporary_.c_str());
  fd_.Reset();
}

Result<> BlobStore::Upload::Write(std::string_view bytes) {
  const Result<> written = WriteAll(fd_.get(), bytes);
  if (!written) return Wrap(written.error(), "store an upload in " + folder_.string());
  bytes_ += bytes.size();
  return {};
}

Result<Digest> BlobStore::Upload::Commit() {
  TRY_ASSIGN(const Digest digest, Sha256OfFile(fd_.get()));
  const fs::path path = PathOf(folder_, digest);
  std::error_code error;
  if (fs::exists(path, error)) {
    // The same content is there: its grace period starts again.
    ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
    Discard();
    TRY(SyncNames(path));
    return digest;
  }
  if (::fchmod(fd_.get(), 0400) != 0) return FailErrno("chmod " + temporary_.string());
  if (::fsync(fd_.get()) != 0) return FailErrno("sync " + temporary_.string());
  TRY(MakeFolder(path.parent_path(), 0700));
  if (::rename(temporary_.c_str(), path.c_str()) != 0) {
    return FailErrno("rename " + temporary_.string() + " to " + path.string());
  }
  fd_.Reset();
  TRY(SyncNames(path));
  return digest;
}

Result<BlobStore> BlobStore::Open(const fs::path& folder) {
  TRY(MakeFolder(folder, 0700));
  TRY(MakeFolder(folder / "sha256", 0700));
  TRY(MakeFolder(folder / "tmp", 0700));
  EmptyFolder(folder / "tmp");
  TRY(SyncFolder(folder));
  TRY(SyncFolder(folder.has_parent_path() ? folder.parent_path() : "."));
  return BlobStore(folder);
}

Result<BlobStore::Upload> BlobStore::Begin() const {
  std::string temporary = (folder_ / "tmp" / "upload.XXXXXX").string();
  UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return FailErrno("create " + temporary);
  return Upload(folder_, temporary, std::move(fd));
}

Result<Digest> BlobStore::Put(std::string_view bytes) const {
  TRY_ASSIGN(Upload upload, Begin());
  TRY(upload.Write(bytes));
  return upload.Commit();
}

Result<uint64_t> BlobStore::Touch(const Digest& digest) const {
  TRY(CheckDigest(digest));
  const fs::path path = PathOf(folder_, digest);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return NoBlob(digest);
    return FailErrno("look at " + path.string());
  }
  if (::utimensat(AT_FDCWD, path.c_str(), nullptr, 0) != 0) {
    return FailErrno("touch " + path.string());
  }
  return static_cast<uint64_t>(status.st_size);
}

Result<UniqueFd> BlobStore::OpenBlob(const Digest& digest) const {
  TRY(CheckDigest(digest));
  Result<UniqueFd> fd = OpenFile(PathOf(folder_, digest), O_RDONLY);
  if (!fd && fd.error().code == Code::kNotFound) return NoBlob(digest);
  return fd;
}

Result<> BlobStore::Verify(const Digest& digest) const {
  TRY_ASSIGN(const UniqueFd fd, OpenBlob(digest));
  TRY_ASSIGN(const Digest content, Sha256OfFile(fd.get()));
  if (content == digest) return {};
  return Fail(Code::kCorrupt, "blob " + PathOf(folder_, digest).string() +
                                  " is corrupt: its content has the digest " + content.value +
                                  "; remove the file and deploy again");
}

Result<std::vector<Digest>> BlobStore::List() const {
  std::vector<Digest> digests;
  std::error_code error;
  fs::recursive_directory_iterator entries(folder_ / "sha256", error);
  while (!error && entries != fs::recursive_directory_iterator()) {
    const std::string name = entries->path().filename().string();
    if (IsDigest(name)) digests.push_back(Digest{name});
    entries.increment(error);
  }
  if (error) return FailErrno("list " + (folder_ / "sha256").string(), error.value());
  return digests;
}

Result<BlobStore::Collected> BlobStore::CollectGarbage(const std::set<Digest>& referenced,
                                                       std::chrono::seconds grace) const {
  TRY_ASSIGN(const std::vector<Digest> digests, List());
  const time_t now = std::time(nullptr);
  Collected collected;
  for (const Digest& digest : digests) {
    if (referenced.contains(digest)) continue;
    const fs::path path = PathOf(folder_, digest);
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) continue;
    if (status.st_mtime > now) {
      // The clock was set back: the grace period starts again.
      ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
      continue;
    }
    if (now - status.st_mtime < grace.count()) continue;
    if (::unlink(path.c_str()) != 0) return FailErrno("remove " + path.string());
    ++collected.blobs;
    collected.bytes += static_cast<uint64_t>(status.st_size);
  }
  return collected;
}

}  // namespace hybridserve

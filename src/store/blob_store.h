// BlobStore: uploaded modules and image archives, by the SHA-256 of their content.
//
//   FOLDER/sha256/ab/abcdef...   one read-only file a blob
//   FOLDER/tmp/                  uploads that have not ended; emptied when the store is opened
//
// A blob is written to a temporary file, synced and renamed, so that a file under sha256/ is always
// whole. A blob that nothing refers to is removed by CollectGarbage once it has not been touched
// for a while: an upload and the deploy that refers to it are two requests.
//
// Thread rule: safe from any thread; one Upload belongs to one thread at a time. Everything here
// waits for the disk: keep it off the event loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve {

class BlobStore {
 public:
  /// A blob being written. Destroyed before Commit, it leaves nothing.
  class Upload {
   public:
    Upload(Upload&&) noexcept = default;
    Upload& operator=(Upload&& other) noexcept;
    ~Upload();

    Result<> Write(std::string_view bytes);
    /// Syncs, hashes and files the blob. Idempotent by content. Call it once.
    Result<Digest> Commit();
    [[nodiscard]] uint64_t bytes() const { return bytes_; }

   private:
    friend class BlobStore;
    Upload(std::filesystem::path folder, std::filesystem::path temporary, UniqueFd fd);
    void Discard();
    std::filesystem::path folder_;
    std::filesystem::path temporary_;
    UniqueFd fd_;
    uint64_t bytes_ = 0;
  };

  struct Collected {
    uint64_t blobs = 0;
    uint64_t bytes = 0;
  };

  /// Makes the folders where they lack. Errors: kForbidden and the like, naming the path.
  static Result<BlobStore> Open(const std::filesystem::path& folder);

  /// For looking only: makes and empties nothing.
  static BlobStore OpenToRead(const std::filesystem::path& folder) { return BlobStore(folder); }

  [[nodiscard]] Result<Upload> Begin() const;
  /// The whole of `bytes` as a blob.
  [[nodiscard]] Result<Digest> Put(std::string_view bytes) const;

  /// The blob's size, and a fresh grace period before it may be collected. Errors: kNotFound;
  /// kInvalidArgument `digest` is not one.
  [[nodiscard]] Result<uint64_t> Touch(const Digest& digest) const;
  /// Open for reading. Errors: kNotFound, kInvalidArgument.
  [[nodiscard]] Result<UniqueFd> OpenBlob(const Digest& digest) const;
  /// Hashes the blob again. Errors: kCorrupt its content is not what its name says; kNotFound.
  [[nodiscard]] Result<> Verify(const Digest& digest) const;

  /// Every blob, in no order.
  [[nodiscard]] Result<std::vector<Digest>> List() const;
  /// Removes blobs that are not in `referenced` and were not written or touched for `grace`. One
  /// from the future (the clock was set back) counts as touched now.
  [[nodiscard]] Result<Collected> CollectGarbage(const std::set<Digest>& referenced,
                                                 std::chrono::seconds grace) const;

 private:
  explicit BlobStore(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path folder_;
};

}  // namespace hybridserve

// ByteSource: a stream of bytes that is read once, in pieces. Sources stack: a blob of an archive,
// hashed, decompressed, hashed again, read as a tar.
//
// Thread rule: one thread. A source outlives those stacked on it.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "container/image/libarchive.h"

namespace hybridserve {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// The next piece, which holds until the next call; empty at the end.
  virtual Result<std::string_view> Next() = 0;
};

/// Reads to the end and drops what comes.
Result<> Drain(ByteSource& source);

/// A regular file from its start, by pread: the file position does not move.
class FileSource : public ByteSource {
 public:
  explicit FileSource(int fd);
  Result<std::string_view> Next() override;

 private:
  int fd_;
  uint64_t offset_ = 0;
  std::vector<char> buffer_;
};

/// Passes bytes on and computes their SHA-256.
class HashingSource : public ByteSource {
 public:
  explicit HashingSource(ByteSource& from);
  Result<std::string_view> Next() override;
  /// Of everything passed on so far. Once.
  [[nodiscard]] Digest Finish();

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  ByteSource& from_;
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

/// Undoes gzip or zstd; other bytes pass unchanged.
class DecompressedSource : public ByteSource {
 public:
  /// Fails with kTooLarge once more than `budget` bytes came out; `budget` counts down.
  DecompressedSource(ByteSource& from, uint64_t& budget);
  Result<std::string_view> Next() override;
  /// "", "gzip" or "zstd"; known after the first Next.
  [[nodiscard]] std::string Filter() const;

 private:
  Result<> Open();

  ByteSource& from_;
  uint64_t& budget_;
  ArchiveReader reader_;
  Error failure_;  // What `from_` failed with, behind libarchive's back.
};

/// A reader of the tar in `from`. `failure` is set when `from` fails: libarchive cannot carry it.
/// Both outlive the reader.
Result<ArchiveReader> OpenTar(ByteSource& from, Error& failure);

/// The failure of `reader`, or the one its source left in `failure`, after what was being done.
tl::unexpected<Error> FailStream(archive* reader, const Error& failure, std::string_view doing);

}  // namespace hybridserve

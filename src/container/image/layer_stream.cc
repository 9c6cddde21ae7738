#include "container/image/layer_stream.h"

#include "container/image/byte_source.h"

namespace hybridserve {

Result<LayerDigest> DigestOfLayer(int fd) {
  FileSource file(fd);
  uint64_t budget = UINT64_MAX;
  DecompressedSource tar_bytes(file, budget);
  HashingSource hashed(tar_bytes);
  Error failure;
  TRY_ASSIGN(ArchiveReader reader, OpenTar(hashed, failure));
  archive_entry* entry = nullptr;
  int status = ARCHIVE_OK;
  while ((status = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK) {
  }
  if (status != ARCHIVE_EOF) return FailStream(reader.get(), failure, "cannot read the tar");
  TRY(Drain(hashed));
  const std::string filter = tar_bytes.Filter();
  return LayerDigest{hashed.Finish(), filter.empty() ? "" : "+" + filter};
}

}  // namespace hybridserve

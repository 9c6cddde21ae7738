// What a packer must know of a layer tar that somebody else made.
//
// Thread rule: free functions; safe from any thread.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace hybridserve {

struct LayerDigest {
  Digest diff_id;                 ///< Of the tar, uncompressed.
  std::string media_type_suffix;  ///< "", "+gzip" or "+zstd", as OCI media types end.
};

/// Reads the whole file. Errors: kInvalidArgument it is no tar, or a truncated one.
Result<LayerDigest> DigestOfLayer(int fd);

}  // namespace hybridserve

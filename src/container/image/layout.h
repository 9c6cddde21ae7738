// Layout: finds the one image in an archive, be it an OCI image layout or what `docker save`
// writes.
//
// Thread rule: free functions; one thread per archive.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "container/image/image_archive.h"
#include "container/image/image_config.h"

namespace hybridserve {

struct ImageLayer {
  std::string name;  ///< Of the layer's file in the archive.
  Digest digest;     ///< Of that file; empty when the archive does not say (`docker save`).
  Digest diff_id;    ///< Of the tar in it, uncompressed.
};

/// An image as its documents describe it; every document's digest was checked.
struct ImageDescription {
  ImageConfig config;              ///< uid and gid still 0: `user` is not resolved.
  std::string user;                ///< "", "NAME", "UID", "NAME:GROUP", ...
  std::vector<ImageLayer> layers;  ///< Bottom first.
};

/// Picks the image for linux on this machine's architecture.
///
/// Errors: kInvalidArgument the archive holds no image, several, or documents that contradict each
/// other or their digests; kUnsupported none of its images is for this machine; kTooLarge.
Result<ImageDescription> ReadImageDescription(const ImageArchive& archive);

}  // namespace hybridserve

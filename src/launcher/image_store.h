// ImageStore: the store's files: what an image's folder holds and how it is made complete.
// Everything below rootfs/ was written by whoever made the image: it is walked without following
// links.
//
// Thread rule: free functions; Complete and Delete are for a worker, they take their time.
#pragma once

#include <filesystem>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "launcher/messages.h"

namespace hybridserve::launcher {

/// The image in `store`/<digest>. Errors: kNotFound it is not there (or not complete).
Result<UnpackedImage> ReadImage(const std::filesystem::path& store, const Digest& image);

/// Makes `folder`/rootfs, empty, of the owner range.
Result<> PrepareImageFolder(const std::filesystem::path& folder);

/// Writes the configuration beside the filled rootfs, syncs everything and renames `folder` to
/// `store`/<digest>.
Result<UnpackedImage> CompleteImage(const std::filesystem::path& store, const Digest& image,
                                    const std::filesystem::path& folder, std::string config_json);

}  // namespace hybridserve::launcher

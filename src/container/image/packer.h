// Packer: writes image archives for `hybridserve build` and `deploy`: one tar that holds an OCI
// image layout (image-spec 1.0).
//
// The same plan gives the same bytes: entries are sorted, owned by 0:0 and dated 1970-01-01.
//
// Thread rule: free functions; safe from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace hybridserve {

/// One file of the image's top layer. Its parent folders are made (0755).
struct ImageFile {
  std::string path;              ///< Inside the image: "/function". No "..".
  uint32_t mode = 0644;          ///< Permission bits.
  std::string content;           ///< Used when `source` is empty.
  std::filesystem::path source;  ///< A regular file on this machine.
};

/// What to pack. The image has `base_layers`, then one layer with `files` (none when it is empty).
struct ImagePlan {
  std::vector<std::filesystem::path>
      base_layers;  ///< Layer tars (plain, gzip or zstd), bottom first.
  std::vector<ImageFile> files;
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::map<std::string, std::string> environment;
  std::string working_folder = "/";
  std::string user;                     ///< "", "NAME", "UID" or "UID:GID".
  std::vector<uint16_t> exposed_ports;  ///< TCP.
};

/// Writes the image to `out` (replaced atomically) and returns the archive's own SHA-256.
///
/// Errors: kInvalidArgument a path in `files` is twice there or leaves the image, a source is not a
/// regular file, a base layer is no tar; kNotFound a source or base layer is missing.
Result<Digest> PackImage(const ImagePlan& plan, const std::filesystem::path& out);

/// Writes the OCI layout folder `folder` (it has oci-layout, index.json and blobs/) as one tar to
/// `out` (replaced atomically) and returns the archive's SHA-256. Files of the folder that are no
/// part of a layout are left out.
///
/// Errors: kInvalidArgument it is not a layout folder, naming what is missing.
Result<Digest> PackLayoutFolder(const std::filesystem::path& folder,
                                const std::filesystem::path& out);

}  // namespace hybridserve

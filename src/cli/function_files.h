// FunctionFiles: a function's manifest and where its builds lie.
//
// Thread rule: plain values.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "function/manifest.h"

namespace hybridserve::cli {

struct FunctionFiles {
  std::filesystem::path folder;  ///< Of function.toml; relative paths in it start here.
  Manifest manifest;
  std::filesystem::path module;  ///< Empty: no Wasm build.
  /// The image to deploy: given by the manifest, or where `build` packs container.binary.
  std::filesystem::path image;  ///< Empty: no container build, or one by reference.
  std::string reference;        ///< Of an image that is fetched (image_source.h); empty: none.

  /// container.base and container.variants; empty without a binary to pack.
  [[nodiscard]] std::vector<std::string> Bases() const;
  /// The image that is packed on `base`: `image` itself for container.base, for a variant the same
  /// name with "-BASE" before the extension.
  /// Errors: kInvalidArgument the manifest has no such base.
  [[nodiscard]] Result<std::filesystem::path> ImageOn(std::string_view base) const;
};

/// Reads `path`, a function's folder or its function.toml. The builds need not be there.
Result<FunctionFiles> ReadFunctionFiles(const std::filesystem::path& path);

}  // namespace hybridserve::cli

// FunctionFiles: a function's manifest and where its builds lie.
//
// Thread rule: plain values.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "function/manifest.h"

namespace hybridserve::cli {

struct FunctionFiles {
  std::filesystem::path folder;  ///< Of function.toml; relative paths in it start here.
  Manifest manifest;
  std::filesystem::path module;  ///< Empty: no Wasm build.
  /// The image to deploy: given by the manifest, or where `build` packs container.binary.
  std::filesystem::path image;  ///< Empty: no container build.
};

/// Reads `path`, a function's folder or its function.toml. The builds need not be there.
Result<FunctionFiles> ReadFunctionFiles(const std::filesystem::path& path);

}  // namespace hybridserve::cli

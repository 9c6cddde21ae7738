#include "cli/function_files.h"

namespace hybridserve::cli {

Result<FunctionFiles> ReadFunctionFiles(const std::filesystem::path& path) {
  FunctionFiles files;
  TRY_ASSIGN(files.manifest, ReadManifest(path));
  std::error_code error;
  files.folder = std::filesystem::is_directory(path, error) ? path : path.parent_path();
  if (files.folder.empty()) files.folder = ".";
  if (files.manifest.wasm) {
    files.module = (files.folder / files.manifest.wasm->module).lexically_normal();
  }
  if (const auto& container = files.manifest.container) {
    const std::string image =
        container->image.empty() ? container->binary + ".tar" : container->image;
    files.image = (files.folder / image).lexically_normal();
  }
  return files;
}

}  // namespace hybridserve::cli

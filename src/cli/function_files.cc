#include "cli/function_files.h"

#include <algorithm>

#include "cli/image_source.h"
#include "function/units.h"

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
    files.reference = ReferenceOf(container->image);
    if (!files.reference.empty()) return files;
    const std::string image =
        container->image.empty() ? container->binary + ".tar" : container->image;
    files.image = (files.folder / image).lexically_normal();
  }
  return files;
}

std::vector<std::string> FunctionFiles::Bases() const {
  if (!manifest.container || manifest.container->binary.empty()) return {};
  std::vector<std::string> bases = {manifest.container->base};
  bases.insert(bases.end(), manifest.container->variants.begin(),
               manifest.container->variants.end());
  return bases;
}

Result<std::filesystem::path> FunctionFiles::ImageOn(std::string_view base) const {
  const std::vector<std::string> bases = Bases();
  const auto found = std::ranges::find(bases, base);
  if (found == bases.end()) {
    return Fail(Code::kInvalidArgument,
                manifest.name.value + " has no image on the base " + Quote(base) +
                    "; container.base and container.variants in its function.toml name them");
  }
  if (found == bases.begin()) return image;
  std::filesystem::path variant = image;
  variant.replace_filename(image.stem().string() + "-" + *found + image.extension().string());
  return variant;
}

}  // namespace hybridserve::cli

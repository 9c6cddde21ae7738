#include "function/manifest.h"

#include "base/file.h"
#include "function/manifest_visit.h"
#include "function/units.h"

namespace hybridserve {

Result<Manifest> ManifestFromSettings(const SettingsNode& root, std::string_view document) {
  SettingsReader reader(root, std::string(document));
  Manifest manifest;
  VisitManifest(reader, manifest);
  TRY(reader.Finish());
  return manifest;
}

Result<Manifest> ParseManifest(std::string_view text, std::string_view file) {
  TRY_ASSIGN(const SettingsNode root, ParseTomlSettings(text, file));
  return ManifestFromSettings(root, file);
}

Result<Manifest> ReadManifest(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path file =
      std::filesystem::is_directory(path, error) ? path / "function.toml" : path;
  Result<std::string> text = ReadFile(file);
  if (!text && text.error().code == Code::kNotFound) {
    return Fail(Code::kNotFound, "there is no " + file.string() +
                                     "; name a function's folder, or make one with "
                                     "`hybridserve new`");
  }
  if (!text) return tl::unexpected<Error>(text.error());
  return ParseManifest(*text, file.string());
}

Result<> CheckFunctionName(std::string_view name) {
  constexpr size_t kMaxBytes = 63;
  constexpr std::string_view kRule =
      "use 1 to 63 of a-z, 0-9, '-' and '_', starting with a letter or digit";
  const auto fail = [name, kRule](const std::string& what) {
    return Fail(Code::kInvalidArgument,
                "the function name " + Quote(name) + " " + what + "; " + std::string(kRule));
  };
  if (name.empty()) {
    return Fail(Code::kInvalidArgument, "the function name is empty; " + std::string(kRule));
  }
  if (name.size() > kMaxBytes) return fail("has " + std::to_string(name.size()) + " bytes");
  for (const char& character : name) {
    const bool letter_or_digit =
        (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9');
    if (letter_or_digit) continue;
    if (character == '-' || character == '_') {
      if (&character == name.data()) return fail("starts with " + Quote({&character, 1}));
      continue;
    }
    if (character >= 'A' && character <= 'Z') return fail("has an upper-case letter");
    if (character == '/') return fail("has a slash");
    return fail("has a byte that is not allowed (" + Quote({&character, 1}) + ")");
  }
  return {};
}

}  // namespace hybridserve

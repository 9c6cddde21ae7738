#include "function/manifest.h"
#include "function/manifest_visit.h"

namespace hybridserve {

std::string ManifestToJson(const Manifest& manifest) {
  Manifest copy = manifest;  // A visitor may change what it visits; this one does not.
  return SettingsToJson([&copy](SettingsVisitor& visitor) { VisitManifest(visitor, copy); });
}

Result<Manifest> ManifestFromJson(std::string_view json) {
  TRY_ASSIGN(const SettingsNode root, ParseJsonSettings(json, "manifest"));
  return ManifestFromSettings(root, "manifest");
}

}  // namespace hybridserve

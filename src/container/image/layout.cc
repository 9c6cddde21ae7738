#include "container/image/layout.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/digest.h"
#include "container/image/architecture.h"
#include "container/image/json.h"

namespace hybridserve {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxDocumentBytes = 4u << 20;
constexpr size_t kMaxLayers = 512;
constexpr size_t kMaxManifests = 256;
constexpr int kMaxIndexDepth = 4;
constexpr char kBlobFolder[] = "blobs/sha256/";

Result<Digest> ParseDigest(const std::string& text, const std::string& what) {
  constexpr std::string_view kPrefix = "sha256:";
  if (!text.starts_with(kPrefix) || !IsDigest(std::string_view(text).substr(kPrefix.size()))) {
    return Fail(Code::kInvalidArgument,
                what + ": '" + text.substr(0, 100) + "' is not a digest (sha256:64 hex digits)");
  }
  return Digest{text.substr(kPrefix.size())};
}

/// The digest that a descriptor names.
Result<Digest> DigestOf(const Json& descriptor, const std::string& what) {
  std::string text;
  TRY(JsonReader(descriptor, what).String("digest", text));
  return ParseDigest(text, what);
}

Result<Json> ReadDocument(const ImageArchive& archive, const std::string& name,
                          const Digest& digest) {
  TRY_ASSIGN(const std::string text, archive.Read(name, kMaxDocumentBytes));
  if (const Digest actual = Sha256(text); !digest.value.empty() && actual != digest) {
    return Fail(Code::kInvalidArgument, "'" + name + "' has the digest sha256:" + actual.value +
                                            ", not the sha256:" + digest.value +
                                            " that the image names: the archive is damaged");
  }
  return ParseJson(text, kMaxDocumentBytes, "'" + name + "'");
}

/// What an index entry says about its platform.
enum class Fit { kYes, kUnsaid, kNo };

Result<Fit> FitOf(const Json& descriptor, std::string& seen) {
  const std::string what = "index entry";
  TRY_ASSIGN(const Json* platform, JsonReader(descriptor, what).Object("platform"));
  if (platform == nullptr) return Fit::kUnsaid;
  std::string os, architecture;
  JsonReader reader(*platform, what);
  TRY(reader.String("os", os));
  TRY(reader.String("architecture", architecture));
  // Build tools add attestations as unknown/unknown.
  if (os == "unknown") return Fit::kNo;
  if (os == "linux" && architecture == kArchitecture) return Fit::kYes;
  seen += (seen.empty() ? "" : ", ") + os.substr(0, 32) + "/" + architecture.substr(0, 32);
  return Fit::kNo;
}

/// The digest of the only manifest of `index` for this machine, or an inner index's.
Result<Digest> PickManifest(const Json& index, const std::string& name) {
  TRY_ASSIGN(const Json* list, JsonReader(index, "'" + name + "'").Array("manifests"));
  if (list == nullptr || list->empty() || list->size() > kMaxManifests) {
    return Fail(Code::kInvalidArgument,
                "'" + name + "' lists no manifest, or more than " + std::to_string(kMaxManifests));
  }
  std::set<Digest> fitting, unsaid;
  std::string seen;
  for (const Json& descriptor : *list) {
    TRY_ASSIGN(const Fit fit, FitOf(descriptor, seen));
    if (fit == Fit::kNo) continue;
    TRY_ASSIGN(Digest digest, DigestOf(descriptor, "'" + name + "'"));
    (fit == Fit::kYes ? fitting : unsaid).insert(std::move(digest));
  }
  const std::set<Digest>& candidates = fitting.empty() ? unsaid : fitting;
  if (candidates.empty()) {
    return Fail(Code::kUnsupported, "the image is for " + (seen.empty() ? "no platform" : seen) +
                                        "; this node is linux/" + kArchitecture);
  }
  if (candidates.size() > 1) {
    return Fail(Code::kInvalidArgument, "the archive holds " + std::to_string(candidates.size()) +
                                            " images; save one image per archive");
  }
  return *candidates.begin();
}

/// Checks `config` (an image's configuration document) and takes over what it says.
Result<> ReadConfig(const Json& document, const std::string& name, ImageDescription& image) {
  const std::string what = "'" + name + "'";
  JsonReader reader(document, what);
  std::string os = "linux", architecture = kArchitecture;
  TRY(reader.String("os", os));
  TRY(reader.String("architecture", architecture));
  if (os != "linux" || architecture != kArchitecture) {
    return Fail(Code::kUnsupported, "the image is for " + os.substr(0, 32) + "/" +
                                        architecture.substr(0, 32) + "; this node is linux/" +
                                        kArchitecture);
  }
  TRY_ASSIGN(const Json* config, reader.Object("config"));
  if (config == nullptr) return {};
  JsonReader settings(*config, what);
  TRY(settings.Strings("Entrypoint", image.config.entrypoint));
  TRY(settings.Strings("Cmd", image.config.command));
  TRY(settings.String("User", image.user));
  TRY(settings.String("WorkingDir", image.config.working_folder));
  if (!image.config.working_folder.starts_with('/')) image.config.working_folder.insert(0, "/");
  std::vector<std::string> environment;
  TRY(settings.Strings("Env", environment));
  for (const std::string& variable : environment) {
    const size_t equals = variable.find('=');
    if (equals == std::string::npos || equals == 0) continue;
    image.config.environment[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  TRY_ASSIGN(const Json* ports, settings.Object("ExposedPorts"));
  if (ports == nullptr) return {};
  std::set<uint16_t> tcp_ports;
  for (const auto& [key, unused] : ports->items()) {
    char* end = nullptr;
    const unsigned long port = std::strtoul(key.c_str(), &end, 10);
    const std::string_view protocol(end);
    if (port > 0 && port <= UINT16_MAX && (protocol.empty() || protocol == "/tcp")) {
      tcp_ports.insert(static_cast<uint16_t>(port));
    }
  }
  image.config.exposed_ports.assign(tcp_ports.begin(), tcp_ports.end());
  return {};
}

/// The uncompressed digests of the layers, which the configuration lists bottom first.
Result<> ReadDiffIds(const Json& document, const std::string& name, ImageDescription& image) {
  const std::string what = "'" + name + "'";
  TRY_ASSIGN(const Json* rootfs, JsonReader(document, what).Object("rootfs"));
  std::vector<std::string> diff_ids;
  if (rootfs != nullptr) TRY(JsonReader(*rootfs, what).Strings("diff_ids", diff_ids));
  if (diff_ids.size() != image.layers.size()) {
    return Fail(Code::kInvalidArgument, what + " lists " + std::to_string(diff_ids.size()) +
                                            " layers, the manifest " +
                                            std::to_string(image.layers.size()));
  }
  for (size_t i = 0; i < diff_ids.size(); ++i) {
    TRY_ASSIGN(image.layers[i].diff_id, ParseDigest(diff_ids[i], what));
  }
  return {};
}

Result<ImageDescription> ReadOci(const ImageArchive& archive) {
  std::string name = "index.json";
  TRY_ASSIGN(Json document, ReadDocument(archive, name, Digest{}));
  for (int depth = 0; document.contains("manifests"); ++depth) {
    if (depth == kMaxIndexDepth) {
      return Fail(Code::kInvalidArgument, "the image's indexes are nested too deeply");
    }
    TRY_ASSIGN(const Digest digest, PickManifest(document, name));
    name = kBlobFolder + digest.value;
    TRY_ASSIGN(document, ReadDocument(archive, name, digest));
  }
  JsonReader manifest(document, "'" + name + "'");
  TRY_ASSIGN(const Json* config, manifest.Object("config"));
  TRY_ASSIGN(const Json* layers, manifest.Array("layers"));
  if (config == nullptr || layers == nullptr || layers->size() > kMaxLayers) {
    return Fail(Code::kInvalidArgument,
                "'" + name + "' is not an image manifest: it needs 'config' and at most " +
                    std::to_string(kMaxLayers) + " 'layers'");
  }
  ImageDescription image;
  for (const Json& layer : *layers) {
    TRY_ASSIGN(Digest digest, DigestOf(layer, "'" + name + "'"));
    image.layers.push_back({kBlobFolder + digest.value, digest, Digest{}});
  }
  TRY_ASSIGN(const Digest config_digest, DigestOf(*config, "'" + name + "'"));
  const std::string config_name = kBlobFolder + config_digest.value;
  TRY_ASSIGN(const Json config_document, ReadDocument(archive, config_name, config_digest));
  TRY(ReadConfig(config_document, config_name, image));
  TRY(ReadDiffIds(config_document, config_name, image));
  return image;
}

/// `docker save` before version 25: manifest.json names a configuration and the layers' files.
Result<ImageDescription> ReadDockerSave(const ImageArchive& archive) {
  TRY_ASSIGN(const std::string text, archive.Read("manifest.json", kMaxDocumentBytes));
  // The document is a list; wrapped, it is read with the same limits as the others.
  TRY_ASSIGN(const Json wrapped,
             ParseJson("{\"images\":" + text + "}", kMaxDocumentBytes + 16, "'manifest.json'"));
  TRY_ASSIGN(const Json* images, JsonReader(wrapped, "'manifest.json'").Array("images"));
  if (images == nullptr || images->size() != 1) {
    return Fail(Code::kInvalidArgument, "'manifest.json' lists " +
                                            std::to_string(images ? images->size() : 0) +
                                            " images; save one image per archive");
  }
  JsonReader manifest((*images)[0], "'manifest.json'");
  std::string config_name;
  std::vector<std::string> layers;
  TRY(manifest.String("Config", config_name));
  TRY(manifest.Strings("Layers", layers));
  if (layers.size() > kMaxLayers) {
    return Fail(Code::kTooLarge,
                "'manifest.json' lists more than " + std::to_string(kMaxLayers) + " layers");
  }
  ImageDescription image;
  for (const std::string& layer : layers) image.layers.push_back({layer, Digest{}, Digest{}});

  // The configuration's file is named after its digest: HEX.json, or blobs/sha256/HEX.
  std::string hex = config_name.substr(config_name.rfind('/') + 1);
  if (hex.ends_with(".json")) hex.resize(hex.size() - 5);
  TRY_ASSIGN(const Digest digest, ParseDigest("sha256:" + hex, "'manifest.json'"));
  TRY_ASSIGN(const Json config, ReadDocument(archive, config_name, digest));
  TRY(ReadConfig(config, config_name, image));
  TRY(ReadDiffIds(config, config_name, image));
  return image;
}

}  // namespace

Result<ImageDescription> ReadImageDescription(const ImageArchive& archive) {
  if (archive.Has("index.json")) return ReadOci(archive);
  if (archive.Has("manifest.json")) return ReadDockerSave(archive);
  return Fail(Code::kInvalidArgument,
              "the archive has neither index.json (an OCI image layout) nor manifest.json "
              "(`docker save`): it is not an image");
}

}  // namespace hybridserve

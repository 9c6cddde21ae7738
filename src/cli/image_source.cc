#include "cli/image_source.h"

#include <fcntl.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "cli/http_client.h"
#include "cli/shell.h"
#include "cli/toolchain.h"
#include "container/image/packer.h"

namespace hybridserve::cli {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr std::string_view kScheme = "docker://";
constexpr std::chrono::milliseconds kRedraw{100};

// What Docker's own clients take: DOCKER_HOST where it names a socket, else the usual place.
fs::path EngineSocket() {
  constexpr std::string_view kUnix = "unix://";
  const char* const variable = std::getenv("DOCKER_HOST");
  const std::string_view host = variable == nullptr ? std::string_view() : variable;
  return host.starts_with(kUnix) ? fs::path(host.substr(kUnix.size())) : "/var/run/docker.sock";
}

// As `docker save` writes it. kNotFound: there is no engine here, or it has no such image.
Result<> SaveFromEngine(const std::string& reference, const fs::path& archive, Progress& progress) {
  HttpAddress engine;
  engine.socket = EngineSocket();
  std::error_code error;
  if (!fs::is_socket(engine.socket, error)) {
    return Fail(Code::kNotFound, "there is no Docker Engine at " + engine.socket.string());
  }
  TRY_ASSIGN(const UniqueFd file, OpenFile(archive, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  HttpRequest request;
  request.target = "/images/" + reference + "/get";
  request.headers.push_back({"Host", "docker"});
  uint64_t bytes = 0;
  const auto write = [&file, &bytes, &progress](std::string_view piece) -> Result<> {
    TRY(WriteAll(file.get(), piece));
    bytes += piece.size();
    progress.Advance(bytes, 0);
    return {};
  };
  progress.Step("taking " + reference + " from the Docker Engine");
  Result<HttpAnswer> answer = FetchStream(engine, request, write);
  if (!answer) return Fail(Code::kNotFound, answer.error().message);
  if (answer->status != 200) {
    return Fail(Code::kNotFound, "the Docker Engine at " + engine.socket.string() +
                                     " does not have " + reference);
  }
  return {};
}

// Registries of this machine need no TLS, as with Docker.
std::string TlsFlag(const std::string& reference) {
  const std::string host = reference.substr(0, reference.find('/'));
  const bool local = host.starts_with("127.") || host.starts_with("localhost:") ||
                     host.starts_with("[::1]");
  return local && host.size() < reference.size() ? "false" : "true";
}

// "...level=fatal msg=\"why\"", or the last line.
std::string WhyOf(const std::string& output) {
  constexpr std::string_view kMessage = "msg=\"";
  std::string text = output;
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.pop_back();
  }
  text = text.substr(text.rfind('\n') + 1);
  const size_t at = text.find(kMessage);
  if (at != std::string::npos) {
    text = text.substr(at + kMessage.size());
    if (text.ends_with('"')) text.pop_back();
  }
  std::erase(text, '\\');
  return text;
}

Code CodeOf(const std::string& why) {
  const auto says = [&why](std::string_view words) { return why.find(words) != std::string::npos; };
  if (says("manifest unknown") || says("name unknown") || says("not found")) return Code::kNotFound;
  if (says("unauthorized") || says("denied")) return Code::kForbidden;
  if (says("connection refused") || says("no such host") || says("timeout") ||
      says("no route to host")) {
    return Code::kUnavailable;
  }
  return Code::kInternal;
}

// `reference` has been checked: nothing in it means anything to a shell.
Result<std::string> Skopeo(const std::string& arguments) {
  ShellCommand command;
  command.text = "exec skopeo --override-os linux " + arguments;
  TRY_ASSIGN(ShellResult result, RunShell(command));
  if (result.status == 0) return std::move(result.output);
  const std::string why = WhyOf(result.output);
  return Fail(CodeOf(why), "skopeo: " + why);
}

uint64_t BytesOf(const Json& manifest) {
  uint64_t bytes = manifest.value("/config/size"_json_pointer, uint64_t{0});
  for (const Json& layer : manifest.value("layers", Json::array())) {
    bytes += layer.value("size", uint64_t{0});
  }
  return bytes;
}

// "host/name" of "host/name:tag@digest".
std::string WithoutTag(const std::string& reference) {
  const std::string name = reference.substr(0, reference.find('@'));
  const size_t colon = name.rfind(':');
  const size_t slash = name.rfind('/');
  const bool has_tag = colon != std::string::npos && (slash == std::string::npos || colon > slash);
  return has_tag ? name.substr(0, colon) : name;
}

// Which of an index's images this machine's is; empty: none.
std::string DigestForThisMachine(const Json& index) {
#if defined(__aarch64__)
  constexpr std::string_view kArchitecture = "arm64";
#else
  constexpr std::string_view kArchitecture = "amd64";
#endif
  for (const Json& one : index.value("manifests", Json::array())) {
    if (one.value("/platform/architecture"_json_pointer, "") == kArchitecture &&
        one.value("/platform/os"_json_pointer, "") == "linux") {
      return one.value("digest", "");
    }
  }
  return "";
}

// What will be transferred; 0: not known, which is no reason to fail.
uint64_t SizeInRegistry(const std::string& reference) {
  const auto inspect = [&reference](const std::string& which) {
    const Result<std::string> raw =
        Skopeo("inspect --raw --tls-verify=" + TlsFlag(reference) + " docker://" + which);
    return Json::parse(raw.value_or(""), nullptr, false);
  };
  Json manifest = inspect(reference);
  if (!manifest.is_object()) return 0;
  if (const std::string digest = DigestForThisMachine(manifest); !digest.empty()) {
    manifest = inspect(WithoutTag(reference) + "@" + digest);
  }
  return manifest.is_object() ? BytesOf(manifest) : 0;
}

uint64_t BytesIn(const fs::path& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(folder, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code gone;
    if (entry->is_regular_file(gone)) bytes += entry->file_size(gone);
  }
  return bytes;
}

Result<> Pull(const std::string& reference, const fs::path& archive, Progress& progress) {
  if (FindOnPath("skopeo").empty()) {
    return Fail(Code::kUnsupported,
                "pulling " + reference +
                    " needs skopeo, which is not installed (apt-get install skopeo), or the image "
                    "in a Docker Engine here (docker pull " + reference + ")");
  }
  const TemporaryFolder temporary;
  const fs::path layout = temporary.path() / "layout";
  progress.Step("pulling " + reference);
  const uint64_t total = SizeInRegistry(reference);
  auto copy = std::async(std::launch::async, [&reference, &layout] {
    return Skopeo("copy --src-tls-verify=" + TlsFlag(reference) + " docker://" + reference +
                  " oci:" + layout.string() + ":image");
  });
  while (copy.wait_for(kRedraw) != std::future_status::ready) {
    progress.Advance(std::min(BytesIn(layout), total), total);
  }
  TRY(copy.get());
  progress.Step("packing " + reference);
  TRY(PackLayoutFolder(layout, archive));
  return {};
}

}  // namespace

std::string ReferenceOf(std::string_view image) {
  return image.starts_with(kScheme) ? std::string(image.substr(kScheme.size())) : std::string();
}

Result<> FetchImage(const std::string& reference, const fs::path& archive, Progress& progress) {
  const Result<> saved = SaveFromEngine(reference, archive, progress);
  if (saved) return {};
  Result<> pulled = Pull(reference, archive, progress);
  if (pulled) return {};
  return Fail(pulled.error().code, "there is no image docker://" + reference + ": " +
                                       saved.error().message + "; " + pulled.error().message);
}

}  // namespace hybridserve::cli

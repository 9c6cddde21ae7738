#include "container/image/image_config.h"

#include <nlohmann/json.hpp>

#include "container/image/json.h"

namespace hybridserve {
namespace {

constexpr size_t kMaxConfigBytes = 1u << 20;

}  // namespace

std::vector<std::string> ImageConfig::Argv(const std::vector<std::string>& override) const {
  if (!override.empty()) return override;
  std::vector<std::string> argv = entrypoint;
  argv.insert(argv.end(), command.begin(), command.end());
  return argv;
}

std::string ImageConfigToJson(const ImageConfig& config) {
  const nlohmann::ordered_json json = {
      {"entrypoint", config.entrypoint},
      {"cmd", config.command},
      {"env", config.environment},
      {"working_folder", config.working_folder},
      {"uid", config.uid},
      {"gid", config.gid},
      {"exposed_ports", config.exposed_ports},
      {"bytes", config.bytes},
      {"files", config.files},
      {"notes", config.notes},
  };
  // An image may hold bytes that are no UTF-8; they become U+FFFD rather than a failure.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<ImageConfig> ParseImageConfig(std::string_view text) {
  TRY_ASSIGN(const nlohmann::json json, ParseJson(text, kMaxConfigBytes, "image configuration"));
  ImageConfig config;
  JsonReader reader(json, "image configuration");
  TRY(reader.Strings("entrypoint", config.entrypoint));
  TRY(reader.Strings("cmd", config.command));
  TRY(reader.StringMap("env", config.environment));
  TRY(reader.String("working_folder", config.working_folder));
  TRY(reader.Unsigned("uid", config.uid, 65535));
  TRY(reader.Unsigned("gid", config.gid, 65535));
  TRY(reader.Unsigned("bytes", config.bytes, UINT64_MAX));
  TRY(reader.Unsigned("files", config.files, UINT64_MAX));
  TRY(reader.Strings("notes", config.notes));
  TRY(reader.UnsignedList("exposed_ports", config.exposed_ports));
  return config;
}

}  // namespace hybridserve

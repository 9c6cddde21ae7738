#include "config/node_config.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>

#include "base/file.h"
#include "config/node_config_visit.h"
#include "function/settings.h"
#include "function/units.h"

namespace hybridserve {

namespace {

constexpr std::string_view kPrefix = "HYBRIDSERVE_";
constexpr std::string_view kStateVariable = "HYBRIDSERVE_STATE";

std::string UpperCase(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

struct Variable {
  std::string name;  // Without the prefix: "GATEWAY_LISTEN".
  std::string section;
  std::string key;
};

// Every key of the configuration as a variable.
std::vector<Variable> KnownVariables() {
  std::vector<Variable> known;
  const Result<SettingsNode> keys = ParseJsonSettings(NodeConfigToJson(NodeConfig{}), "defaults");
  if (!keys) return known;
  for (size_t i = 0; i < keys->keys.size(); ++i) {
    for (const std::string& key : keys->items[i].keys) {
      known.push_back({UpperCase(keys->keys[i] + "_" + key), keys->keys[i], key});
    }
  }
  return known;
}

void SetFromVariable(SettingsNode& root, const Variable& variable, std::string_view name,
                     std::string_view value) {
  const SettingsNode* found = root.Find(variable.section);
  SettingsNode section = found != nullptr ? *found : SettingsNode{};
  if (section.kind != SettingsNode::Kind::kTable) return;  // The reader reports it.
  SettingsNode node;
  node.kind = SettingsNode::Kind::kText;
  node.text = value;
  node.origin = name;
  section.Set(variable.key, std::move(node));
  root.Set(variable.section, std::move(section));
}

// Lays the variables of the environment over the file's values.
Result<> ApplyEnvironment(SettingsNode& root, const std::vector<std::string>& environment) {
  const std::vector<Variable> known = KnownVariables();
  std::vector<std::string_view> names;
  for (const Variable& variable : known) names.push_back(variable.name);
  const Variable state{"STATE", "node", "state_folder"};
  // The short name first: the long one overrides it.
  std::vector<std::string> words = environment;
  std::stable_partition(words.begin(), words.end(), [](const std::string& word) {
    return word.starts_with(std::string(kStateVariable) + "=");
  });
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (!word.starts_with(kPrefix) || equals == std::string::npos) continue;
    const std::string name = word.substr(0, equals);
    const std::string value = word.substr(equals + 1);
    const std::string_view rest = std::string_view(name).substr(kPrefix.size());
    if (value.empty()) continue;
    const auto found = std::find(names.begin(), names.end(), rest);
    if (name == kStateVariable) {
      SetFromVariable(root, state, name, value);
    } else if (found != names.end()) {
      SetFromVariable(root, known[static_cast<size_t>(found - names.begin())], name, value);
    } else if (const auto nearest = Nearest(rest, names)) {
      // Other programs may have variables of this prefix; only a slip of the keyboard is an error.
      return Fail(Code::kInvalidArgument, "unknown variable " + name +
                                              " in the environment; did "
                                              "you mean " +
                                              std::string(kPrefix) + std::string(*nearest) + "?");
    }
  }
  return {};
}

Result<NodeConfig> FromSettings(const SettingsNode& root, std::string_view document) {
  NodeConfig config;
  config.state_folder = DefaultStateFolder();
  SettingsReader reader(root, std::string(document));
  VisitNodeConfig(reader, config);
  TRY(reader.Finish());
  std::error_code error;
  config.state_folder = std::filesystem::absolute(config.state_folder, error).lexically_normal();
  if (!config.state_folder.has_filename()) {
    config.state_folder = config.state_folder.parent_path();  // A slash at its end.
  }
  for (std::string* file : {&config.admin_token_file, &config.tls_certificate, &config.tls_key,
                            &config.admin_tls_certificate, &config.admin_tls_key}) {
    if (!file->empty()) *file = std::filesystem::absolute(*file, error).string();
  }
  return config;
}

}  // namespace

Result<NodeConfig> ParseNodeConfig(std::string_view text, std::string_view file,
                                   const std::vector<std::string>& environment) {
  TRY_ASSIGN(SettingsNode root, ParseTomlSettings(text, file));
  TRY(ApplyEnvironment(root, environment));
  return FromSettings(root, file);
}

Result<NodeConfig> LoadNodeConfig(const std::filesystem::path& file) {
  std::string text;
  if (!file.empty()) {
    TRY_ASSIGN(text, ReadFile(file));
  }
  std::vector<std::string> environment;
  for (char** word = environ; word != nullptr && *word != nullptr; ++word) {
    if (std::string_view(*word).starts_with(kPrefix)) environment.emplace_back(*word);
  }
  return ParseNodeConfig(text, file.empty() ? "configuration" : file.string(), environment);
}

std::string NodeConfigToJson(const NodeConfig& config) {
  NodeConfig copy = config;  // A visitor may change what it visits; this one does not.
  return SettingsToJson([&copy](SettingsVisitor& visitor) { VisitNodeConfig(visitor, copy); });
}

Result<NodeConfig> NodeConfigFromJson(std::string_view json) {
  TRY_ASSIGN(const SettingsNode root, ParseJsonSettings(json, "node configuration"));
  return FromSettings(root, "node configuration");
}

Result<HostPort> ParseHostPort(std::string_view text) {
  const auto fail = [text] {
    return Fail(Code::kInvalidArgument, Quote(text) +
                                            " is not an address to listen on; write HOST:PORT, "
                                            "such as 127.0.0.1:8080 or [::1]:8080");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fail();
  std::string_view host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return fail();  // An IPv6 address without brackets: its last part would pass for the port.
  }
  if (host.empty() || host.size() > 253) return fail();
  for (const char c : host) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '-' || c == ':' || c == '%' || c == '_';
    if (!good) return fail();
  }
  HostPort result;
  result.host = host;
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size()) return fail();
  return result;
}

std::filesystem::path DefaultStateFolder() {
  std::error_code error;
  const auto variable = [](const char* name) -> std::optional<std::filesystem::path> {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::filesystem::path(value);
  };
  if (const auto state = variable("HYBRIDSERVE_STATE")) {
    return std::filesystem::absolute(*state, error);
  }
  if (::geteuid() == 0) return "/var/lib/hybridserve";
  if (const auto state = variable("XDG_STATE_HOME"); state && state->is_absolute()) {
    return *state / "hybridserve";
  }
  const auto home = variable("HOME");
  return home.value_or("/tmp") / ".local/state/hybridserve";
}

}  // namespace hybridserve

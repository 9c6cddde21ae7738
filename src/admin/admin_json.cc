#include "admin/admin_json.h"

#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "function/manifest_visit.h"
#include "function/settings.h"
#include "function/units.h"

namespace hybridserve {

using Json = nlohmann::ordered_json;

namespace {

// Texts may come from guests or from files: bytes that are no UTF-8 become U+FFFD.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json DigestOrNull(const Digest& digest) {
  return digest.value.empty() ? Json(nullptr) : Json(digest.value);
}

Json BlobOrNull(const Digest& digest, uint64_t bytes) {
  if (digest.value.empty()) return nullptr;
  return {{"digest", digest.value}, {"bytes", bytes}};
}

Json SummaryJson(const FunctionSummary& function, PolicyKind node_policy) {
  Json builds = Json::array();
  if (function.wasm) builds.push_back("wasm");
  if (function.container) builds.push_back("container");
  const LiveStatus& status = function.status;
  return {{"name", function.name.value},
          {"description", function.description},
          {"revision", function.revision.value},
          {"deployed", FormatTime(function.deployed)},
          {"builds", std::move(builds)},
          {"policy", PolicyName(function.policy.value_or(node_policy))},
          {"state", function.failure.empty() ? "ready" : "failed"},
          {"failure", function.failure},
          {"status",
           {{"wasm_running", status.wasm_running},
            {"wasm_loaded", status.wasm_loaded},
            {"queued", status.queued},
            {"containers",
             {{"ready", status.containers_ready},
              {"frozen", status.containers_frozen},
              {"starting", status.containers_starting},
              {"busy_slots", status.busy_slots},
              {"free_slots", status.free_slots},
              {"boot_us", status.container_boot ? Json(status.container_boot->count()) : Json()}}}}}};
}

Json ErrorBody(const Error& error) {
  return {{"code", CodeName(error.code)}, {"message", error.message}};
}

// The request's top level holds these keys and no others.
Result<SettingsNode> ParseRequest(std::string_view body, std::string_view known) {
  TRY_ASSIGN(SettingsNode root, ParseJsonSettings(body, "the request's body"));
  for (const std::string& key : root.keys) {
    if (known.find(" " + key + ",") != std::string_view::npos) continue;
    return Fail(Code::kInvalidArgument, "unknown key " + Quote(key) + " in the request; known are" +
                                            std::string(known.substr(0, known.size() - 1)));
  }
  return root;
}

Result<Digest> DigestAt(const SettingsNode& root, std::string_view key) {
  const SettingsNode* node = root.Find(key);
  if (node == nullptr) return Digest{};
  if (node->kind != SettingsNode::Kind::kText || !IsDigest(node->text)) {
    return Fail(Code::kInvalidArgument,
                std::string(key) + " is not a SHA-256 digest of 64 lower-case hex digits");
  }
  return Digest{node->text};
}

}  // namespace

std::string FormatTime(std::chrono::system_clock::time_point time) {
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[40];
  const size_t length = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof(text) - length, ".%03dZ", static_cast<int>(ms % 1000));
  return text;
}

std::string NodeJson(const NodeInfo& node, size_t functions) {
  Json policies = Json::array();
  for (const PolicyKind policy :
       {PolicyKind::kPaper, PolicyKind::kWasmOnly, PolicyKind::kContainerOnly}) {
    policies.push_back(PolicyName(policy));
  }
  return Dump({{"version", HYBRIDSERVE_VERSION},
               {"gateway", node.gateway},
               {"gateway_tls", node.gateway_tls},
               {"policy", PolicyName(node.policy)},
               {"allow_route_header", node.allow_route_header},
               {"policies", std::move(policies)},
               {"wasm", node.wasm},
               {"containers", node.containers},
               {"container_runtime", node.container_runtime},
               {"containers_why_not", node.containers_why_not},
               {"full_jail", node.full_jail},
               {"cgroup", node.cgroup},
               {"state_folder", node.state_folder},
               {"started", FormatTime(node.started)},
               {"functions", functions}});
}

std::string BlobJson(const Digest& digest, uint64_t bytes) {
  return Dump(BlobOrNull(digest, bytes));
}

std::string FunctionListJson(const std::vector<FunctionSummary>& functions,
                             PolicyKind node_policy) {
  Json list = Json::array();
  for (const FunctionSummary& function : functions) {
    list.push_back(SummaryJson(function, node_policy));
  }
  Json json = Json::object();
  json["functions"] = std::move(list);
  return Dump(json);
}

std::string FunctionJson(const FunctionDescription& function, PolicyKind node_policy) {
  Json json = SummaryJson(function.summary, node_policy);
  json["manifest"] = Json::parse(function.manifest, nullptr, false);
  json["module"] = BlobOrNull(function.module, function.module_bytes);
  json["image"] = BlobOrNull(function.image, function.image_bytes);
  Json& revisions = json["revisions"] = Json::array();
  for (const Revision& revision : function.revisions) {
    revisions.push_back({{"revision", revision.number.value},
                         {"created", FormatTime(revision.created)},
                         {"current", revision.number == function.summary.revision},
                         {"module", DigestOrNull(revision.content.module)},
                         {"image", DigestOrNull(revision.content.image)}});
  }
  Json& history = json["history"] = Json::array();
  for (const Switch& entry : function.history) {
    history.push_back({{"time", FormatTime(entry.time)},
                       {"revision", entry.revision.value},
                       {"action", entry.rollback ? "rollback" : "deploy"}});
  }
  return Dump(json);
}

std::string LogLineJson(const LogLine& line) {
  return Dump({{"time", FormatTime(line.time)},
               {"source", LogSourceName(line.source)},
               {"text", line.text}});
}

std::string ProgressEventJson(std::string_view step, std::string_view message) {
  return Dump({{"event", "progress"}, {"step", step}, {"message", message}});
}

std::string DoneEventJson(const DeployOutcome& outcome) {
  return Dump({{"event", "done"},
               {"name", outcome.name.value},
               {"revision", outcome.revision.value},
               {"changed", outcome.changed}});
}

std::string ErrorEventJson(const Error& error) {
  return Dump({{"event", "error"}, {"error", ErrorBody(error)}});
}

Result<DeployRequest> ParseDeployRequest(std::string_view body) {
  TRY_ASSIGN(const SettingsNode root, ParseRequest(body, " manifest, module, image,"));
  const SettingsNode* manifest = root.Find("manifest");
  if (manifest == nullptr || manifest->kind != SettingsNode::Kind::kTable) {
    return Fail(Code::kInvalidArgument, "the request needs manifest, an object");
  }
  DeployRequest request;
  TRY_ASSIGN(request.manifest, ManifestFromSettings(*manifest, "manifest"));
  TRY_ASSIGN(request.module, DigestAt(root, "module"));
  TRY_ASSIGN(request.image, DigestAt(root, "image"));
  return request;
}

Result<std::optional<RevisionId>> ParseRollbackRequest(std::string_view body) {
  if (body.empty()) return std::optional<RevisionId>();
  TRY_ASSIGN(const SettingsNode root, ParseRequest(body, " to,"));
  const SettingsNode* to = root.Find("to");
  if (to == nullptr) return std::optional<RevisionId>();
  if (to->kind != SettingsNode::Kind::kInteger || to->integer < 1) {
    return Fail(Code::kInvalidArgument, "to is not the number of a revision, 1 or more");
  }
  return std::optional<RevisionId>(RevisionId{to->integer});
}

}  // namespace hybridserve

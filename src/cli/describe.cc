// `hybridserve describe`: one function, for a person.
#include "cli/commands.h"
#include "cli/format.h"
#include "cli/function_view.h"
#include "cli/table.h"
#include "function/manifest.h"
#include "function/units.h"

namespace hybridserve::cli {
namespace {

constexpr size_t kShownDigest = 12;

std::string BlobOf(const Json& function, const std::string& key) {
  const std::string digest = TextAt(function, "/" + key + "/digest");
  if (digest.empty()) return "none";
  const auto bytes = static_cast<uint64_t>(NumberAt(function, "/" + key + "/bytes"));
  return digest.substr(0, kShownDigest) + "  " + HumanBytes(bytes);
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + Printable(word);
  return text;
}

/// Names only: values may be secrets, or long.
std::string Names(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> names;
  for (const auto& [name, value] : variables) names.push_back(name);
  return Joined(names);
}

void AddManifest(Facts& facts, const Manifest& manifest) {
  const Limits& limits = manifest.limits;
  facts.Group("limits");
  facts.Add("memory", FormatSize(limits.memory_bytes));
  facts.Add("body", FormatSize(limits.body_bytes));
  facts.Add("timeouts", "queue " + FormatDuration(limits.queue_timeout) + ", start " +
                            FormatDuration(limits.start_timeout) + ", run " +
                            FormatDuration(limits.run_timeout));
  facts.Add("wasm at once",
            std::to_string(limits.concurrency) + ", queue of " + std::to_string(limits.queue));
  if (manifest.container) {
    const Scale& scale = manifest.scale;
    facts.Add("containers", std::to_string(scale.min_warm) + " to " +
                                std::to_string(scale.max_containers) + ", " +
                                std::to_string(scale.slots) + " slots each");
    facts.Add("freeze after",
              scale.freeze_after.count() > 0 ? FormatDuration(scale.freeze_after) : "never");
  }
  facts.Add("keep alive", FormatDuration(manifest.scale.keep_alive));
  const bool has_more =
      !manifest.environment.empty() || !manifest.secrets.empty() || !manifest.folders.empty();
  if (!has_more) return;
  facts.Group("given to it");
  if (!manifest.environment.empty()) facts.Add("environment", Names(manifest.environment));
  if (!manifest.secrets.empty()) facts.Add("secrets", Names(manifest.secrets));
  for (const FolderGrant& folder : manifest.folders) {
    facts.Add("folder", Printable(folder.host_path) + " as " + Printable(folder.guest_path) +
                            (folder.writable ? ", writable" : ", read-only"));
  }
}

std::string Revisions(const Json& function, const Session& session) {
  if (!function.contains("revisions")) return "";
  Table table({{"REVISION", Table::Align::kRight}, {"MADE"}, {"MODULE"}, {"IMAGE"}, {""}});
  const auto now = std::chrono::system_clock::now();
  const auto digest = [](const Json& revision, const std::string& path) {
    const std::string text = TextAt(revision, path);
    return text.empty() ? "-" : text.substr(0, kShownDigest);
  };
  for (const Json& revision : function["revisions"]) {
    table.Add({TextAt(revision, "/revision"), AgeAt(revision, "/created", now),
               digest(revision, "/module"), digest(revision, "/image"),
               FlagAt(revision, "/current") ? "current" : ""});
  }
  return table.empty() ? "" : "\n" + table.Render(session.terminal);
}

}  // namespace

Outcome RunDescribe(const DescribeOptions& options, const Session& session) {
  TRY_ASSIGN(const AdminClient client, session.Connect());
  TRY_ASSIGN(const Json function, client.Function(options.name));
  if (session.json()) {
    session.PrintJson(function);
    return 0;
  }
  Facts facts;
  facts.Group(TextAt(function, "/name"));
  const std::string description = TextAt(function, "/description");
  if (!description.empty()) facts.Add("description", description);
  const auto now = std::chrono::system_clock::now();
  facts.Add("revision",
            TextAt(function, "/revision") + ", deployed " + AgeAt(function, "/deployed", now));
  facts.Add("policy", TextAt(function, "/policy"));
  facts.Add("state", StateOf(function));
  if (const int64_t boot_us = NumberAt(function, "/status/containers/boot_us"); boot_us > 0) {
    facts.Add("container start", std::to_string((boot_us + 500) / 1000) + " ms, as measured");
  }
  const std::string failure = TextAt(function, "/failure");
  if (!failure.empty()) facts.Add("failure", failure);
  facts.Add("module", BlobOf(function, "module"));
  facts.Add("image", BlobOf(function, "image"));
  if (function.contains("manifest")) {
    const Result<Manifest> manifest = ManifestFromJson(function["manifest"].dump());
    if (manifest && !manifest->hosts.empty()) facts.Add("hosts", Joined(manifest->hosts));
    if (manifest && manifest->idempotent) facts.Add("idempotent", "yes");
    if (manifest && !manifest->access_keys.empty()) {
      facts.Add("access", "with a key of " + Printable(manifest->access_keys));
    }
    if (manifest) AddManifest(facts, *manifest);
  }
  session.terminal.Print(facts.Render(session.terminal) + Revisions(function, session));
  return 0;
}

}  // namespace hybridserve::cli

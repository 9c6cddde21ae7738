#include "function/bounds.h"
#include "function/manifest_visit.h"

#include <algorithm>
#include <set>

#include "function/network_pattern.h"
#include "function/units.h"

namespace hybridserve {

namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr uint64_t kKiB = 1ull << 10;
constexpr uint64_t kMiB = 1ull << 20;
constexpr uint64_t kGiB = 1ull << 30;

constexpr std::pair<std::string_view, PolicyKind> kPolicies[] = {
    {"paper", PolicyKind::kPaper},
    {"wasm-only", PolicyKind::kWasmOnly},
    {"container-only", PolicyKind::kContainerOnly}};
constexpr std::pair<std::string_view, AotTime> kAotTimes[] = {{"deploy", AotTime::kDeploy},
                                                              {"first-run", AotTime::kFirstRun}};

constexpr size_t kMaxHosts = 32;
constexpr size_t kMaxWords = 256;

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

Result<> CheckBytes(std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    return Fail(Code::kInvalidArgument, "the text has " + std::to_string(text.size()) +
                                            " bytes; at most " + std::to_string(max_bytes) +
                                            " are allowed");
  }
  if (text.find('\0') != std::string_view::npos) {
    return Fail(Code::kInvalidArgument, "the text holds a zero byte");
  }
  return {};
}

Result<> CheckLine(std::string_view text) { return CheckBytes(text, 4096); }
Result<> CheckVariableValue(std::string_view text) {
  return CheckBytes(text, kMaxEnvironmentBytes);
}

Result<> CheckPath(std::string_view text) {
  if (text.empty()) return Fail(Code::kInvalidArgument, "the path is empty");
  return CheckBytes(text, 4096);
}

Result<> CheckAbsolutePath(std::string_view text) {
  TRY(CheckPath(text));
  if (text.front() != '/') {
    return Fail(Code::kInvalidArgument,
                Quote(text) + " is not an absolute path; the node reads it on its own machine");
  }
  for (const auto& part : std::filesystem::path(text)) {
    if (part == "..") return Fail(Code::kInvalidArgument, "the path " + Quote(text) + " has '..'");
  }
  return {};
}

Result<> CheckDomain(std::string_view text) {
  Result<> checked = CheckFunctionName(text);
  if (checked) return {};
  return Fail(Code::kInvalidArgument, "the trust domain " + Quote(text) +
                                          " is not a name of 1 to 63 of a-z, 0-9, '-' "
                                          "and '_'");
}

Result<> CheckHost(std::string_view text) {
  const auto fail = [text](std::string_view what) {
    return Fail(Code::kInvalidArgument, "the host name " + Quote(text) + " " + std::string(what));
  };
  if (text.empty() || text.size() > 253) return fail("must have 1 to 253 bytes");
  size_t label = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || text[i] == '.') {
      if (label == 0 || label > 63) return fail("has a part of no or more than 63 bytes");
      label = 0;
      continue;
    }
    if (text[i] >= 'A' && text[i] <= 'Z')
      return fail("has upper-case letters; write it in lower case");
    if (!IsLetter(text[i]) && !IsDigit(text[i]) && text[i] != '-') {
      return fail("may have a-z, 0-9, '-' and '.' only, and no port");
    }
    ++label;
  }
  return {};
}

Result<> CheckVariableName(std::string_view text) {
  bool good = !text.empty() && text.size() <= 256 && !IsDigit(text.front());
  for (const char c : text) good = good && (IsLetter(c) || IsDigit(c) || c == '_');
  if (!good) {
    return Fail(Code::kInvalidArgument, "the variable name " + Quote(text) +
                                            " is not made of letters, digits and '_', not "
                                            "starting with a digit, at most 256");
  }
  if (text == "PORT") {
    return Fail(Code::kInvalidArgument,
                "the variable PORT is the node's own: it tells a container where to listen");
  }
  return {};
}

void VisitWasm(SettingsVisitor& v, WasmBuild& wasm) {
  v.Text("module", wasm.module, CheckPath);
  v.Text("build", wasm.build, CheckLine);
  v.Choice<AotTime>("aot", wasm.aot, kAotTimes);
  VisitEngineChoice(v, wasm.engine);
  if (wasm.module.empty()) v.Complain("module", "[wasm] needs module, the path of the .wasm file");
}

Result<> CheckBase(std::string_view text) {
  if (text == "scratch" || text == "debian") return {};
  return Fail(Code::kInvalidArgument, "the base " + Quote(text) + " is neither scratch nor debian");
}

/// A path, or docker://NAME[:TAG][@sha256:DIGEST] as registries write it.
Result<> CheckImage(std::string_view text) {
  constexpr std::string_view kScheme = "docker://";
  if (!text.starts_with(kScheme)) return CheckLine(text);
  const std::string_view reference = text.substr(kScheme.size());
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-/:@[]").find(c) != std::string_view::npos;
  };
  const auto is_name = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (!reference.empty() && (is_name(reference.front()) || reference.front() == '[') &&
      reference.size() <= 512 && std::ranges::all_of(reference, good)) {
    return {};
  }
  return Fail(Code::kInvalidArgument,
              Quote(text) + " is no image reference; write docker://NAME:TAG, such as "
                            "docker://127.0.0.1:5000/hello:1, or a path");
}

/// Whether each base is named once.
bool AllDiffer(const ContainerBuild& container) {
  std::set<std::string_view> bases = {container.base};
  return std::ranges::all_of(container.variants,
                             [&bases](const auto& base) { return bases.insert(base).second; });
}

void VisitContainer(SettingsVisitor& v, ContainerBuild& container) {
  constexpr std::pair<std::string_view, bool> kBases[] = {{"scratch", false}, {"debian", true}};
  v.Text("image", container.image, CheckImage);
  v.Text("build", container.build, CheckLine);
  v.Text("binary", container.binary, CheckLine);
  bool debian = container.base == "debian";
  v.Choice<bool>("base", debian, kBases);
  container.base = debian ? "debian" : "scratch";
  v.TextList("variants", container.variants, CheckBase);
  v.Flag("stdio", container.stdio);
  v.TextList("command", container.command, CheckLine);
  v.Flag("writable_root", container.writable_root);
  if (container.image.empty() && container.binary.empty()) {
    v.Complain("image",
               "[container] needs image (an OCI layout or archive) or binary (a program "
               "to pack)");
  }
  if (container.image.starts_with("docker://") && !container.binary.empty()) {
    v.Complain("image",
               "container.image is a reference, but with container.binary it is where the packed "
               "image goes; leave one of them out");
  }
  if (!container.variants.empty() && container.binary.empty()) {
    v.Complain("variants", "container.variants needs container.binary, the program to pack");
  }
  if (!AllDiffer(container)) {
    v.Complain("variants", "container.variants names a base twice, or that of container.base");
  }
  if (container.command.size() > kMaxWords) {
    v.Complain("command",
               "container.command has more than " + std::to_string(kMaxWords) + " words");
  }
}

void VisitLimits(SettingsVisitor& v, Limits& limits) {
  v.Size("memory", limits.memory_bytes, kMiB, 64 * kGiB);
  v.Size("body", limits.body_bytes, 0, 16 * kGiB);
  v.Size("response", limits.response_bytes, kKiB, kGiB);
  v.Count("concurrency", limits.concurrency, 1, 1024);
  v.Count("queue", limits.queue, 0, 65536);
  v.Count("pids", limits.pids, 1, 32768);
  v.Number("cpu", limits.cpu_cores, 0, 1024);
  v.Size("disk", limits.disk_bytes, 0, 64 * kGiB);
  v.Duration("queue_timeout", limits.queue_timeout, 0ms, 10min);
  v.Duration("start_timeout", limits.start_timeout, 10ms, 10min);
  v.Duration("run_timeout", limits.run_timeout, 1ms, 24h);
  if (limits.cpu_cores > 0 && limits.cpu_cores < 0.01) {
    v.Complain("cpu", "limits.cpu is less than 0.01; write 0 for no limit");
  }
}

void VisitScale(SettingsVisitor& v, Scale& scale) {
  v.Count("min_warm", scale.min_warm, 0, 1024);
  v.Count("max_containers", scale.max_containers, 0, 1024);
  v.Count("slots", scale.slots, 1, 1024);
  v.Duration("keep_alive", scale.keep_alive, 0ms, 24h);
  v.Duration("freeze_after", scale.freeze_after, 0ms, 24h);
  if (scale.min_warm > scale.max_containers) {
    v.Complain("min_warm", "scale.min_warm is " + std::to_string(scale.min_warm) +
                               ", more than scale.max_containers, " +
                               std::to_string(scale.max_containers));
  }
}

Result<> CheckAbsolutePathOrNone(std::string_view text) {
  return text.empty() ? Result<>() : CheckAbsolutePath(text);
}

void VisitFolder(SettingsVisitor& v, FolderGrant& folder) {
  v.Text("host", folder.host_path, CheckAbsolutePath);
  v.Text("guest", folder.guest_path, CheckAbsolutePath);
  v.Flag("writable", folder.writable);
  if (folder.host_path.empty()) v.Complain("host", "[[folders]] needs host, a folder of the node");
  if (folder.guest_path.empty()) {
    v.Complain("guest", "[[folders]] needs guest, the folder's name inside the function");
  }
}

Result<> CheckNetworkPattern(std::string_view text) {
  TRY(ParseNetworkPattern(text, NetworkScope::kManifest));
  return {};
}

// What one key alone does not show.
void CheckTogether(SettingsVisitor& v, const Manifest& manifest) {
  if (manifest.name.value.empty())
    v.Complain("name", "name is missing; write name = \"my-function\"");
  if (!manifest.wasm && !manifest.container) {
    v.Complain("", "a function needs a [wasm] section, a [container] section, or both");
  }
  if (manifest.policy == PolicyKind::kWasmOnly && !manifest.wasm) {
    v.Complain("policy", "the policy is wasm-only, and there is no [wasm] section");
  }
  if (manifest.policy == PolicyKind::kContainerOnly &&
      (!manifest.container || manifest.scale.max_containers == 0)) {
    v.Complain("policy",
               "the policy is container-only, and there is no [container] section or "
               "scale.max_containers is 0");
  }
  size_t bytes = 0;
  for (const auto& [name, value] : manifest.environment) bytes += name.size() + value.size() + 2;
  if (bytes > kMaxEnvironmentBytes) {
    v.Complain("environment", "[environment] has " + std::to_string(bytes) + " bytes; at most " +
                                  std::to_string(kMaxEnvironmentBytes) + " are allowed");
  }
  for (const auto& [name, file] : manifest.secrets) {
    if (!manifest.environment.contains(name)) continue;
    v.Complain("secrets", "the variable " + name + " is in [environment] and in [secrets]");
  }
  if (manifest.hosts.size() > kMaxHosts) {
    v.Complain("hosts", "hosts has more than " + std::to_string(kMaxHosts) + " names");
  }
  if (manifest.folders.size() > kMaxFolders) {
    v.Complain("folders", "there are more than " + std::to_string(kMaxFolders) + " [[folders]]");
  }
  if (manifest.network.size() > kMaxNetworkPatterns) {
    v.Complain("network", "network.allow has more than " + std::to_string(kMaxNetworkPatterns) +
                              " hosts");
  }
  std::set<std::string_view> guests;
  for (const FolderGrant& folder : manifest.folders) {
    if (guests.insert(folder.guest_path).second) continue;
    v.Complain("folders", "two [[folders]] have the guest path " + Quote(folder.guest_path));
  }
}

}  // namespace

void VisitEngineChoice(SettingsVisitor& v, EngineChoice& choice) {
  v.Text("engine", choice.engine,
         [](std::string_view text) { return CheckEngineChoice(text, ""); });
  v.Text("compiler", choice.compiler, CheckLine);
  if (const auto known = CheckEngineChoice(choice.engine, choice.compiler); !known) {
    v.Complain("compiler", known.error().message);
  }
}

void VisitManifest(SettingsVisitor& v, Manifest& manifest) {
  v.Text("name", manifest.name.value, CheckFunctionName);
  v.Text("description", manifest.description, CheckLine);
  v.Text("domain", manifest.domain, CheckDomain);
  v.TextList("hosts", manifest.hosts, CheckHost);
  v.OptionalChoice<PolicyKind>("policy", manifest.policy, kPolicies);
  v.Flag("idempotent", manifest.idempotent);

  WasmBuild wasm = manifest.wasm.value_or(WasmBuild{});
  bool has_wasm = manifest.wasm.has_value();
  v.Section("wasm", has_wasm, [&v, &wasm] { VisitWasm(v, wasm); });
  if (has_wasm) manifest.wasm = std::move(wasm);

  ContainerBuild container = manifest.container.value_or(ContainerBuild{});
  bool has_container = manifest.container.has_value();
  v.Section("container", has_container, [&v, &container] { VisitContainer(v, container); });
  if (has_container) manifest.container = std::move(container);

  v.Section("limits", [&v, &manifest] { VisitLimits(v, manifest.limits); });
  v.Section("scale", [&v, &manifest] { VisitScale(v, manifest.scale); });
  v.TextMap("environment", manifest.environment, CheckVariableName, CheckVariableValue);
  v.TextMap("secrets", manifest.secrets, CheckVariableName, CheckAbsolutePath);
  v.Section("access",
            [&v, &manifest] { v.Text("keys", manifest.access_keys, CheckAbsolutePathOrNone); });
  v.Section("network",
            [&v, &manifest] { v.TextList("allow", manifest.network, CheckNetworkPattern); });
  v.TableList(
      "folders", manifest.folders.size(), [&manifest](size_t n) { manifest.folders.resize(n); },
      [&v, &manifest](size_t i) { VisitFolder(v, manifest.folders[i]); });
  CheckTogether(v, manifest);
}

std::string_view PolicyName(PolicyKind policy) {
  for (const auto& [word, kind] : kPolicies) {
    if (kind == policy) return word;
  }
  return "paper";
}

Result<PolicyKind> ParsePolicy(std::string_view name) {
  for (const auto& [word, kind] : kPolicies) {
    if (word == name) return kind;
  }
  return Fail(Code::kInvalidArgument,
              Quote(name) + " is not a policy; use paper, wasm-only or container-only");
}

}  // namespace hybridserve

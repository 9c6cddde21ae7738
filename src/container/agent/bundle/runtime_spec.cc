#include "container/agent/bundle/runtime_spec.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>
#include <vector>

#include "sandbox/container_paths.h"
#include "sandbox/seccomp_lists.h"

namespace hybridserve {
namespace {

using Json = nlohmann::json;

constexpr int64_t kCpuPeriodMicroseconds = 100'000;
// When memory runs out on the machine, guests go before the rest.
constexpr int kOomScore = 500;

const char* OperatorName(scmp_compare compare) {
  switch (compare) {
    case SCMP_CMP_NE:
      return "SCMP_CMP_NE";
    case SCMP_CMP_LT:
      return "SCMP_CMP_LT";
    case SCMP_CMP_LE:
      return "SCMP_CMP_LE";
    case SCMP_CMP_GE:
      return "SCMP_CMP_GE";
    case SCMP_CMP_GT:
      return "SCMP_CMP_GT";
    case SCMP_CMP_MASKED_EQ:
      return "SCMP_CMP_MASKED_EQ";
    default:
      return "SCMP_CMP_EQ";
  }
}

Json Arguments(const std::vector<scmp_arg_cmp>& arguments) {
  Json all = Json::array();
  for (const scmp_arg_cmp& one : arguments) {
    all.push_back({{"index", one.arg},
                   {"value", one.datum_a},
                   {"valueTwo", one.datum_b},
                   {"op", OperatorName(one.op)}});
  }
  return all;
}

Json Seccomp() {
  Json names = Json::array();
  for (const auto& list : sandbox::AllowedCalls(sandbox::Filter::kContainer)) {
    for (const char* name : list) names.push_back(name);
  }
  Json calls = Json::array({{{"names", std::move(names)}, {"action", "SCMP_ACT_ALLOW"}}});
  for (const auto& rule : sandbox::AllowedWithArguments(sandbox::Filter::kContainer)) {
    calls.push_back({{"names", {rule.name}},
                     {"action", "SCMP_ACT_ALLOW"},
                     {"args", Arguments(rule.arguments)}});
  }
  // It hides its flags behind a pointer: libraries fall back to clone.
  calls.push_back(
      {{"names", {"clone3"}}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", ENOSYS}});
  return {{"defaultAction", "SCMP_ACT_ERRNO"},
          {"defaultErrnoRet", EPERM},
          {"syscalls", std::move(calls)}};
}

Json Process(const SandboxSpec& spec, uint64_t open_files) {
  Json environment = Json::array();
  for (const auto& [name, value] : spec.environment) environment.push_back(name + "=" + value);
  if (!spec.environment.contains("PATH")) {
    environment.push_back(std::string("PATH=") + sandbox::kDefaultPath);
  }
  const Json none = Json::array();
  return {{"args", spec.argv},
          {"env", std::move(environment)},
          {"cwd", spec.working_folder},
          {"user", {{"uid", spec.uid}, {"gid", spec.gid}}},
          {"noNewPrivileges", true},
          {"oomScoreAdj", kOomScore},
          {"capabilities",
           {{"bounding", none},
            {"effective", none},
            {"inheritable", none},
            {"permitted", none},
            {"ambient", none}}},
          {"rlimits",
           {{{"type", "RLIMIT_NOFILE"}, {"hard", open_files}, {"soft", open_files}},
            {{"type", "RLIMIT_CORE"}, {"hard", 0}, {"soft", 0}}}}};
}

Json Mount(const char* target, const char* type, std::vector<std::string> options) {
  return {{"destination", target}, {"type", type}, {"source", type}, {"options", options}};
}

Json Shown(const char* target, const std::filesystem::path& source,
           std::vector<std::string> options) {
  return {{"destination", target},
          {"type", "bind"},
          {"source", source.string()},
          {"options", std::move(options)}};
}

Json Mounts(const RuntimeSpecPlaces& places) {
  const std::vector<std::string> plain = {"bind", "rw", "nosuid", "nodev"};
  const std::vector<std::string> shared = {"bind", "rw", "nosuid", "nodev", "noexec"};
  return Json::array({
      Mount("/proc", "proc", {"nosuid", "noexec", "nodev"}),
      Mount("/dev", "tmpfs", {"nosuid", "noexec", "strictatime", "mode=755", "size=64k"}),
      Mount("/dev/pts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}),
      Shown("/dev/shm", places.scratch / "shm", shared),
      Shown("/tmp", places.scratch / "tmp", plain),
      Shown("/run", places.scratch / "run", plain),
  });
}

Json Resources(const SandboxSpec& spec, bool swap_is_counted) {
  Json resources = {{"devices", {{{"allow", false}, {"access", "rwm"}}}}};
  if (spec.memory_bytes > 0) {
    resources["memory"]["limit"] = spec.memory_bytes;
    if (swap_is_counted) resources["memory"]["swap"] = spec.memory_bytes;
  }
  if (spec.pids > 0) resources["pids"]["limit"] = spec.pids;
  if (spec.cpu_cores > 0) {
    resources["cpu"] = {
        {"period", kCpuPeriodMicroseconds},
        {"quota", std::max<int64_t>(1000, std::llround(spec.cpu_cores * kCpuPeriodMicroseconds))}};
  }
  return resources;
}

Json Paths(std::span<const char* const> paths) {
  Json all = Json::array();
  for (const char* path : paths) all.push_back("/" + std::string(path));
  return all;
}

}  // namespace

std::string MakeRuntimeSpec(const SandboxSpec& spec, const RuntimeSpecPlaces& places) {
  const Json namespaces = Json::array({{{"type", "pid"}},
                                       {{"type", "ipc"}},
                                       {{"type", "uts"}},
                                       {{"type", "mount"}},
                                       {{"type", "cgroup"}},
                                       {{"type", "network"}, {"path", places.network.string()}}});
  const Json whole = {{"ociVersion", "1.0.2"},
                      {"hostname", spec.name},
                      {"root", {{"path", places.rootfs.string()}, {"readonly", !spec.writable_root}}},
                      {"process", Process(spec, places.open_files)},
                      {"mounts", Mounts(places)},
                      {"linux",
                       {{"namespaces", namespaces},
                        {"cgroupsPath", places.cgroup},
                        {"resources", Resources(spec, places.swap_is_counted)},
                        {"seccomp", Seccomp()},
                        {"maskedPaths", Paths(sandbox::kMaskedPaths)},
                        {"readonlyPaths", Paths(sandbox::kReadOnlyPaths)}}}};
  return whole.dump();
}

}  // namespace hybridserve

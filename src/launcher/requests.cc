#include "launcher/requests.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>

#include "base/digest.h"
#include "function/engines.h"

namespace hybridserve::launcher {
namespace {

constexpr uint64_t kMaxBytes = uint64_t{1} << 44;
constexpr uint64_t kMinMemoryBytes = 1u << 20;
constexpr uint32_t kMaxThreads = 1024;
constexpr uint32_t kMaxPids = 32768;
constexpr uint32_t kMaxId = 65535;
constexpr size_t kMaxArguments = 1024;
constexpr size_t kMaxProgramBytes = 96 * 1024;
constexpr size_t kMaxNameBytes = 63;
constexpr size_t kMaxLabelBytes = 256;
constexpr size_t kMaxPathBytes = 4095;
constexpr std::chrono::hours kMaxTimeout{1};

// What the server may have done in a job, by an engine's program. An unpack is the launcher's own,
// behind UnpackImage; that a program can be told to stay outside its jail (--no-lockdown, for
// tests) is not passed on.
constexpr std::string_view kJobVerbs[] = {"compile", "fingerprint"};

template <size_t N>
bool IsOneOf(std::string_view word, const std::string_view (&list)[N]) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

tl::unexpected<Error> Refuse(std::string what) {
  return Fail(Code::kInvalidArgument, "the launcher refuses the request: " + std::move(what));
}

// What may be shown in a message: the start of it, without control characters.
std::string Shown(std::string_view text) {
  std::string shown = "'";
  for (const char c : text.substr(0, 80)) {
    shown += std::isprint(static_cast<unsigned char>(c)) != 0 ? c : '?';
  }
  return shown + "'";
}

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return std::isprint(static_cast<unsigned char>(c)) != 0; });
}

// A host name inside, and part of log lines.
Result<> CheckName(std::string_view name) {
  const bool good =
      !name.empty() && name.size() <= kMaxNameBytes &&
      std::all_of(name.begin(), name.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
      });
  return good ? Result<>() : Refuse("the name " + Shown(name) + " is not [A-Za-z0-9_-]{1,63}");
}

Result<> CheckDigest(const Digest& digest) {
  if (IsDigest(digest.value)) return {};
  return Refuse(Shown(digest.value) + " is not a SHA-256 in lower-case hex");
}

// An absolute path without "." and "..": what it names is below what its text says.
Result<> CheckPath(std::string_view path) {
  const bool absolute = !path.empty() && path.front() == '/' && path.size() <= kMaxPathBytes;
  if (!absolute || HasNul(path)) return Refuse("the path " + Shown(path) + " is not absolute");
  std::string_view rest = path;
  while (!rest.empty()) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    if (part == "." || part == "..") return Refuse("the path " + Shown(path) + " has '.' or '..'");
    rest.remove_prefix(std::min(rest.size(), slash + 1));
  }
  return {};
}

Result<> CheckRange(std::string_view what, uint64_t value, uint64_t low, uint64_t high) {
  if (value >= low && value <= high) return {};
  return Refuse(std::string(what) + " = " + std::to_string(value) + " is not in " +
                std::to_string(low) + ".." + std::to_string(high));
}

Result<> CheckMemory(uint64_t bytes) {
  return bytes == 0 ? Result<>() : CheckRange("memory_bytes", bytes, kMinMemoryBytes, kMaxBytes);
}

Result<> CheckStrings(const std::vector<std::string>& list) {
  if (list.size() > kMaxArguments) return Refuse("more than 1024 arguments");
  size_t total = 0;
  for (const std::string& text : list) {
    if (HasNul(text)) return Refuse("a zero byte in the argument " + Shown(text));
    total += text.size() + 1;
  }
  return total <= kMaxProgramBytes ? Result<>() : Refuse("more than 96 KiB of arguments");
}

Result<> CheckEnvironment(const std::map<std::string, std::string>& environment) {
  size_t total = 0;
  for (const auto& [name, value] : environment) {
    if (name.empty() || name.find('=') != std::string::npos || HasNul(name) || HasNul(value)) {
      return Refuse("the environment variable " + Shown(name) + " has an impossible name or value");
    }
    total += name.size() + value.size() + 2;
  }
  return total <= kMaxProgramBytes ? Result<>() : Refuse("more than 96 KiB of environment");
}

Result<> Check(const ExecutorSpec& spec) {
  if (!CheckEngineName(spec.engine)) {
    return Refuse("the engine " + Shown(spec.engine) + " is unknown");
  }
  if (spec.compiler.empty() || !CheckEngineChoice(spec.engine, spec.compiler)) {
    return Refuse("the compiler " + Shown(spec.compiler) + " is unknown");
  }
  if (spec.domain.size() > kMaxLabelBytes || !IsPrintable(spec.domain)) {
    return Refuse("the domain " + Shown(spec.domain) + " is not short and printable");
  }
  TRY(CheckRange("threads", spec.threads, 1, kMaxThreads));
  return CheckMemory(spec.memory_bytes);
}

// The engine whose program it is, or nullptr.
const EngineNames* EngineOf(std::string_view program) {
  const auto engines = KnownEngines();
  const auto found = std::ranges::find_if(
      engines, [program](const EngineNames& e) { return ExecutorProgram(e.name) == program; });
  return found == engines.end() ? nullptr : &*found;
}

bool AreJobArguments(const EngineNames& engine, const std::vector<std::string>& arguments) {
  if (arguments.empty() || !IsOneOf(arguments[0], kJobVerbs)) return false;
  if (arguments.size() == 1) return true;
  return arguments.size() == 3 && arguments[1] == "--compiler" && !arguments[2].empty() &&
         CheckEngineChoice(engine.name, arguments[2]);
}

Result<> Check(const JobSpec& spec) {
  const EngineNames* engine = EngineOf(spec.program);
  if (engine == nullptr) {
    return Refuse("the program " + Shown(spec.program) + " is not one that jobs may run");
  }
  if (!AreJobArguments(*engine, spec.arguments)) {
    const std::string last = spec.arguments.empty() ? std::string() : spec.arguments.back();
    return Refuse(
        "a job's arguments are 'compile' or 'fingerprint' and perhaps a compiler of the engine, "
        "not " +
        std::to_string(spec.arguments.size()) + " that end in " + Shown(last));
  }
  TRY(CheckRange("memory_bytes", spec.memory_bytes, kMinMemoryBytes, kMaxBytes));
  TRY(CheckRange("cpu_weight_percent", spec.cpu_weight_percent, 1, 1000));
  if (spec.timeout <= spec.timeout.zero() || spec.timeout > kMaxTimeout) {
    return Refuse("timeout = " + std::to_string(spec.timeout.count()) + " ms is not in 1 ms..1 h");
  }
  return {};
}

Result<> Check(const SandboxSpec& spec) {
  TRY(CheckName(spec.name));
  if (spec.label.size() > kMaxLabelBytes || !IsPrintable(spec.label)) {
    return Refuse("the label " + Shown(spec.label) + " is not short and printable");
  }
  TRY(CheckDigest(spec.image));
  if (spec.argv.empty() || spec.argv[0].empty()) return Refuse("no program to run");
  TRY(CheckStrings(spec.argv));
  TRY(CheckEnvironment(spec.environment));
  if (spec.working_folder.empty() || spec.working_folder.front() != '/' ||
      spec.working_folder.size() > kMaxPathBytes || HasNul(spec.working_folder)) {
    return Refuse("the working folder " + Shown(spec.working_folder) + " is not absolute");
  }
  TRY(CheckRange("uid", spec.uid, 0, kMaxId));
  TRY(CheckRange("gid", spec.gid, 0, kMaxId));
  TRY(CheckMemory(spec.memory_bytes));
  TRY(CheckRange("disk_bytes", spec.disk_bytes, 0, kMaxBytes));
  TRY(CheckRange("pids", spec.pids, 0, kMaxPids));
  if (!std::isfinite(spec.cpu_cores) || spec.cpu_cores < 0 || spec.cpu_cores > 1024) {
    return Refuse("cpu_cores is not in 0..1024");
  }
  return {};
}

template <typename Id>
Id GetId(ipc::Reader& reader) {
  return Id{reader.Get<uint64_t>()};
}

Digest GetDigest(ipc::Reader& reader) { return Digest{std::string(reader.GetString(64))}; }

Result<RequestBody> DecodeBody(Verb verb, ipc::Reader& reader) {
  switch (verb) {
    case Verb::kHello:
      return HelloRequest{};
    case Verb::kStartExecutor:
      return Get<ExecutorSpec>(reader);
    case Verb::kKillExecutor:
      return KillExecutorRequest{GetId<ExecutorId>(reader)};
    case Verb::kRunJob:
      return Get<JobSpec>(reader);
    case Verb::kUnpackImage:
      return UnpackImageRequest{GetDigest(reader)};
    case Verb::kRemoveImage:
      return RemoveImageRequest{GetDigest(reader)};
    case Verb::kCreateSandbox:
      return CreateSandboxRequest{};
    case Verb::kStartSandbox: {
      const auto id = GetId<ContainerId>(reader);
      return StartSandboxRequest{id, Get<SandboxSpec>(reader)};
    }
    case Verb::kMakeSockets:
      return Get<MakeSocketsRequest>(reader);
    case Verb::kStats:
      return StatsRequest{GetId<ContainerId>(reader)};
    case Verb::kDestroySandbox:
      return DestroySandboxRequest{GetId<ContainerId>(reader)};
    case Verb::kList:
      return ListRequest{GetId<ContainerId>(reader)};
    case Verb::kOpenFolder:
      return Get<OpenFolderRequest>(reader);
    case Verb::kReady:
      return ReadyRequest{};
    case Verb::kMakeListener:
      return Get<MakeListenerRequest>(reader);
    case Verb::kFreezeSandbox:
      return FreezeSandboxRequest{GetId<ContainerId>(reader)};
    case Verb::kThawSandbox:
      return ThawSandboxRequest{GetId<ContainerId>(reader)};
    case Verb::kSettleSandbox:
      return SettleSandboxRequest{GetId<ContainerId>(reader)};
    case Verb::kPrepareImage:
      return PrepareImageRequest{GetDigest(reader)};
    case Verb::kOpenAgent:
      return OpenAgentRequest{};
    default:
      return Refuse("the verb " + std::to_string(static_cast<int>(verb)) + " is unknown");
  }
}

// One overload a kind of request that has something to check.
struct Checker {
  Result<> operator()(const ExecutorSpec& spec) const { return Check(spec); }
  Result<> operator()(const JobSpec& spec) const { return Check(spec); }
  Result<> operator()(const UnpackImageRequest& request) const {
    return CheckDigest(request.archive);
  }
  Result<> operator()(const RemoveImageRequest& request) const {
    return CheckDigest(request.image);
  }
  Result<> operator()(const PrepareImageRequest& request) const {
    return CheckDigest(request.image);
  }
  Result<> operator()(const StartSandboxRequest& request) const { return Check(request.spec); }
  Result<> operator()(const MakeSocketsRequest& request) const {
    return CheckRange("count", request.count, 1, kMaxSocketsAtOnce);
  }
  Result<> operator()(const MakeListenerRequest& request) const {
    return CheckRange("port", request.port, kMinListenerPort, UINT16_MAX);
  }
  Result<> operator()(const OpenFolderRequest& request) const { return CheckPath(request.path); }
  template <typename T>
  Result<> operator()(const T&) const {
    return {};
  }
};

bool RightNumberOfFds(Verb verb, size_t fds) {
  if (verb == Verb::kRunJob) return fds <= kMaxJobFds;
  return fds == (verb == Verb::kUnpackImage ? 1 : 0);
}

}  // namespace

Result<RequestBody> DecodeRequest(Verb verb, ipc::Reader& reader, size_t fds) {
  TRY_ASSIGN(RequestBody body, DecodeBody(verb, reader));
  if (!reader.Done()) return Refuse("bytes are missing or left over");
  if (!RightNumberOfFds(verb, fds))
    return Refuse(std::to_string(fds) + " descriptors came with it");
  TRY(std::visit(Checker{}, body));
  return body;
}

}  // namespace hybridserve::launcher

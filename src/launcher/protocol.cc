#include "launcher/protocol.h"

#include <bit>

namespace hybridserve::launcher {

namespace {

constexpr uint32_t kMaxName = 4096;
constexpr uint32_t kMaxText = 96 * 1024;
constexpr uint32_t kMaxItems = 1024;

void PutBool(ipc::Writer& writer, bool value) { writer.Put<uint8_t>(value ? 1 : 0); }
bool GetBool(ipc::Reader& reader) { return reader.Get<uint8_t>() != 0; }

void PutMilliseconds(ipc::Writer& writer, std::chrono::milliseconds value) {
  writer.Put<int64_t>(value.count());
}
std::chrono::milliseconds GetMilliseconds(ipc::Reader& reader) {
  return std::chrono::milliseconds(reader.Get<int64_t>());
}

std::string GetText(ipc::Reader& reader, uint32_t max_bytes) {
  return std::string(reader.GetString(max_bytes));
}

void PutList(ipc::Writer& writer, const std::vector<std::string>& list) {
  writer.Put(static_cast<uint32_t>(list.size()));
  for (const std::string& item : list) writer.PutString(item);
}

// A count beyond the bound, or beyond what the datagram holds, ends the loop by a failed reader.
std::vector<std::string> GetList(ipc::Reader& reader) {
  std::vector<std::string> list;
  const auto count = reader.Get<uint32_t>();
  for (uint32_t i = 0; i < count && !reader.failed(); ++i) {
    if (i == kMaxItems) {
      reader.Fail();
      break;
    }
    list.push_back(GetText(reader, kMaxText));
  }
  return list;
}

}  // namespace

void PutHeader(ipc::Writer& writer, Verb verb, uint64_t id) {
  writer.Put(kVersion).Put(verb).Put(id);
}

std::optional<Header> GetHeader(ipc::Reader& reader) {
  const auto version = reader.Get<uint16_t>();
  Header header;
  header.verb = reader.Get<Verb>();
  header.id = reader.Get<uint64_t>();
  if (reader.failed() || version != kVersion) return std::nullopt;
  return header;
}

void PutStatus(ipc::Writer& writer, const Result<>& status) {
  writer.Put<uint8_t>(status ? 0 : static_cast<uint8_t>(static_cast<int>(status.error().code) + 1));
  writer.PutString(status ? std::string_view()
                          : std::string_view(status.error().message).substr(0, kMaxText));
}

Result<> GetStatus(ipc::Reader& reader) {
  const auto code = reader.Get<uint8_t>();
  std::string message = GetText(reader, kMaxText);
  if (reader.failed() || code > static_cast<uint8_t>(Code::kInternal) + 1) {
    return Fail(Code::kCorrupt, "the launcher's answer cannot be read");
  }
  if (code == 0) return {};
  return Fail(static_cast<Code>(code - 1), std::move(message));
}

void Put(ipc::Writer& writer, const ExecutorSpec& spec) {
  writer.PutString(spec.engine).PutString(spec.compiler).PutString(spec.domain);
  writer.Put(spec.threads).Put(spec.memory_bytes);
}

template <>
ExecutorSpec Get(ipc::Reader& reader) {
  ExecutorSpec spec;
  spec.engine = GetText(reader, kMaxName);
  spec.compiler = GetText(reader, kMaxName);
  spec.domain = GetText(reader, kMaxName);
  spec.threads = reader.Get<uint32_t>();
  spec.memory_bytes = reader.Get<uint64_t>();
  return spec;
}

void Put(ipc::Writer& writer, const JobSpec& spec) {
  writer.PutString(spec.program);
  PutList(writer, spec.arguments);
  writer.Put(spec.memory_bytes);
  PutMilliseconds(writer, spec.timeout);
  writer.Put(spec.cpu_weight_percent);
}

template <>
JobSpec Get(ipc::Reader& reader) {
  JobSpec spec;
  spec.program = GetText(reader, kMaxName);
  spec.arguments = GetList(reader);
  spec.memory_bytes = reader.Get<uint64_t>();
  spec.timeout = GetMilliseconds(reader);
  spec.cpu_weight_percent = reader.Get<uint32_t>();
  return spec;
}

void Put(ipc::Writer& writer, const SandboxSpec& spec) {
  writer.PutString(spec.name).PutString(spec.label).PutString(spec.image.value);
  PutList(writer, spec.argv);
  writer.Put(static_cast<uint32_t>(spec.environment.size()));
  for (const auto& [name, value] : spec.environment) writer.PutString(name).PutString(value);
  writer.PutString(spec.working_folder).Put(spec.uid).Put(spec.gid);
  PutBool(writer, spec.writable_root);
  writer.Put(spec.memory_bytes).Put(spec.disk_bytes).Put(spec.pids);
  writer.Put(std::bit_cast<uint64_t>(spec.cpu_cores));
}

template <>
SandboxSpec Get(ipc::Reader& reader) {
  SandboxSpec spec;
  spec.name = GetText(reader, kMaxName);
  spec.label = GetText(reader, kMaxName);
  spec.image.value = GetText(reader, kMaxName);
  spec.argv = GetList(reader);
  const auto variables = reader.Get<uint32_t>();
  for (uint32_t i = 0; i < variables && !reader.failed(); ++i) {
    if (i == kMaxItems) {
      reader.Fail();
      break;
    }
    std::string name = GetText(reader, kMaxName);
    spec.environment.insert_or_assign(std::move(name), GetText(reader, kMaxText));
  }
  spec.working_folder = GetText(reader, kMaxName);
  spec.uid = reader.Get<uint32_t>();
  spec.gid = reader.Get<uint32_t>();
  spec.writable_root = GetBool(reader);
  spec.memory_bytes = reader.Get<uint64_t>();
  spec.disk_bytes = reader.Get<uint64_t>();
  spec.pids = reader.Get<uint32_t>();
  spec.cpu_cores = std::bit_cast<double>(reader.Get<uint64_t>());
  return spec;
}

void Put(ipc::Writer& writer, const OpenFolderRequest& request) {
  writer.Put(request.executor.value).PutString(request.path);
  PutBool(writer, request.writable);
}

template <>
OpenFolderRequest Get(ipc::Reader& reader) {
  OpenFolderRequest request;
  request.executor = ExecutorId{reader.Get<uint64_t>()};
  request.path = GetText(reader, kMaxName);
  request.writable = GetBool(reader);
  return request;
}

void Put(ipc::Writer& writer, const MakeSocketsRequest& request) {
  writer.Put(request.id.value).Put(request.count);
}

template <>
MakeSocketsRequest Get(ipc::Reader& reader) {
  MakeSocketsRequest request;
  request.id.value = reader.Get<uint64_t>();
  request.count = reader.Get<uint32_t>();
  return request;
}

void Put(ipc::Writer& writer, const MakeListenerRequest& request) {
  writer.Put(request.id.value).Put(request.port);
}

template <>
MakeListenerRequest Get(ipc::Reader& reader) {
  MakeListenerRequest request;
  request.id.value = reader.Get<uint64_t>();
  request.port = reader.Get<uint16_t>();
  return request;
}

void Put(ipc::Writer& writer, const StartedExecutor& started) {
  writer.Put<uint64_t>(started.id.value).Put<int32_t>(started.pid);
}

template <>
StartedExecutor Get(ipc::Reader& reader) {
  StartedExecutor started;
  started.id = ExecutorId{reader.Get<uint64_t>()};
  started.pid = reader.Get<int32_t>();
  return started;
}

void Put(ipc::Writer& writer, const LauncherAbilities& abilities) {
  PutBool(writer, abilities.containers);
  writer.PutString(abilities.why_not).PutString(abilities.runtime);
  writer.PutString(abilities.runtime_why).PutString(abilities.cgroup);
  PutBool(writer, abilities.full_jail);
}

template <>
LauncherAbilities Get(ipc::Reader& reader) {
  LauncherAbilities abilities;
  abilities.containers = GetBool(reader);
  abilities.why_not = GetText(reader, kMaxText);
  abilities.runtime = GetText(reader, kMaxName);
  abilities.runtime_why = GetText(reader, kMaxText);
  abilities.cgroup = GetText(reader, kMaxName);
  abilities.full_jail = GetBool(reader);
  return abilities;
}

void Put(ipc::Writer& writer, const JobResult& result) {
  writer.Put<int32_t>(result.exit_status);
  PutBool(writer, result.out_of_memory);
  PutBool(writer, result.timed_out);
  writer.PutString(std::string_view(result.output).substr(0, kMaxText));
}

template <>
JobResult Get(ipc::Reader& reader) {
  JobResult result;
  result.exit_status = reader.Get<int32_t>();
  result.out_of_memory = GetBool(reader);
  result.timed_out = GetBool(reader);
  result.output = GetText(reader, kMaxText);
  return result;
}

void Put(ipc::Writer& writer, const UnpackedImage& image) {
  writer.PutString(image.image.value).PutString(image.config_json).Put(image.bytes);
}

template <>
UnpackedImage Get(ipc::Reader& reader) {
  UnpackedImage image;
  image.image.value = GetText(reader, kMaxName);
  image.config_json = GetText(reader, kMaxText);
  image.bytes = reader.Get<uint64_t>();
  return image;
}

void Put(ipc::Writer& writer, const SandboxUsage& usage) {
  writer.Put(usage.memory_bytes).Put(usage.peak_memory_bytes);
  writer.Put<int64_t>(usage.cpu_time.count()).Put(usage.processes);
}

template <>
SandboxUsage Get(ipc::Reader& reader) {
  SandboxUsage usage;
  usage.memory_bytes = reader.Get<uint64_t>();
  usage.peak_memory_bytes = reader.Get<uint64_t>();
  usage.cpu_time = std::chrono::nanoseconds(reader.Get<int64_t>());
  usage.processes = reader.Get<uint32_t>();
  return usage;
}

void Put(ipc::Writer& writer, const SandboxExit& exit) {
  writer.Put(exit.id.value).Put<int32_t>(exit.status);
  PutBool(writer, exit.out_of_memory);
}

template <>
SandboxExit Get(ipc::Reader& reader) {
  SandboxExit exit;
  exit.id.value = reader.Get<uint64_t>();
  exit.status = reader.Get<int32_t>();
  exit.out_of_memory = GetBool(reader);
  return exit;
}

void Put(ipc::Writer& writer, const std::vector<AdoptedSandbox>& page) {
  writer.Put(static_cast<uint32_t>(page.size()));
  for (const AdoptedSandbox& sandbox : page) {
    writer.Put(sandbox.id.value).PutString(sandbox.label);
    PutBool(writer, static_cast<bool>(sandbox.log));
  }
}

template <>
std::vector<AdoptedEntry> Get(ipc::Reader& reader) {
  std::vector<AdoptedEntry> page;
  const auto count = reader.Get<uint32_t>();
  for (uint32_t i = 0; i < count && !reader.failed(); ++i) {
    AdoptedEntry entry;
    entry.id.value = reader.Get<uint64_t>();
    entry.label = GetText(reader, kMaxName);
    entry.has_log = GetBool(reader);
    page.push_back(std::move(entry));
  }
  return page;
}

}  // namespace hybridserve::launcher

#include "container/agent/docker/docker_maker.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include "base/file.h"
#include "container/agent/bundle/runtime_error.h"
#include "container/agent/docker/engine_client.h"
#include "container/agent/docker/image_tar.h"
#include "container/agent/docker/stream_demux.h"
#include "sandbox/container_paths.h"
#include "sandbox/id_range.h"

namespace hybridserve {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using Json = EngineClient::Json;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr char kPauseProgram[] = "hybridserve-pause";
constexpr uint64_t kPauseMemory = 8 << 20;  // The Engine takes no less than 6 MiB.
constexpr uint64_t kMinDiskBytes = 64 * 1024;
constexpr int kOomScore = 500;

// The names of what the labels say.
constexpr char kNodeLabel[] = "hybridserve.node";
constexpr char kIdLabel[] = "hybridserve.id";
constexpr char kLabelLabel[] = "hybridserve.label";
constexpr char kImageLabel[] = "hybridserve.image";
constexpr char kRoleLabel[] = "hybridserve.role";
constexpr char kFunctionRole[] = "function";
constexpr char kNetworkRole[] = "network";

std::string TextAt(const Json& json, const char* pointer) {
  const Json::json_pointer path(pointer);
  return json.contains(path) && json[path].is_string() ? json[path].get<std::string>() : "";
}

int64_t NumberAt(const Json& json, const char* pointer) {
  const Json::json_pointer path(pointer);
  return json.contains(path) && json[path].is_number_integer() ? json[path].get<int64_t>() : 0;
}

std::string LabelOf(const Json& container, const char* name) {
  if (!container.contains("Labels") || !container["Labels"].is_object()) return "";
  const Json& labels = container["Labels"];
  return labels.contains(name) && labels[name].is_string() ? labels[name].get<std::string>() : "";
}

// What every container of ours is denied.
Json Confined(const std::string& network) {
  return {{"NetworkMode", network},
          {"CapDrop", {"ALL"}},
          {"SecurityOpt", {"no-new-privileges"}},
          {"LogConfig", {{"Type", "none"}}},
          {"RestartPolicy", {{"Name", "no"}}},
          {"OomScoreAdj", kOomScore}};
}

Json HostConfigOf(const SandboxSpec& spec, const std::string& network) {
  const std::string size = std::to_string(std::max(spec.disk_bytes, kMinDiskBytes));
  Json host = Confined(network);
  host["ReadonlyRootfs"] = !spec.writable_root;
  host["Tmpfs"] = {{"/tmp", "rw,exec,nosuid,nodev,mode=1777,size=" + size},
                   {"/run", "rw,exec,nosuid,nodev,mode=755,size=" + size +
                                ",uid=" + std::to_string(spec.uid) +
                                ",gid=" + std::to_string(spec.gid)}};
  host["ShmSize"] = std::max(spec.disk_bytes, kMinDiskBytes);
  host["Ulimits"] = Json::array({{{"Name", "core"}, {"Soft", 0}, {"Hard", 0}}});
  if (spec.memory_bytes > 0) {
    host["Memory"] = spec.memory_bytes;
    host["MemorySwap"] = spec.memory_bytes;
  }
  if (spec.pids > 0) host["PidsLimit"] = spec.pids;
  if (spec.cpu_cores > 0) host["NanoCpus"] = std::llround(spec.cpu_cores * 1e9);
  return host;
}

}  // namespace

struct DockerMaker::Impl : std::enable_shared_from_this<DockerMaker::Impl> {
  Impl(asio::any_io_executor loop, RuntimeHostOptions its_options)
      : executor(std::move(loop)),
        options(std::move(its_options)),
        engine(executor, options.runtime) {}

  asio::any_io_executor executor;
  RuntimeHostOptions options;
  EngineClient engine;
  asio::thread_pool pool{1};  // writes images

  [[nodiscard]] std::string NameOf(ContainerId id) const {
    return "hybridserve-" + options.node + "-" + std::to_string(id.value);
  }
  [[nodiscard]] std::string NetworkNameOf(ContainerId id) const { return NameOf(id) + "-network"; }
  [[nodiscard]] std::string Repository() const { return "hybridserve-" + options.node; }
  [[nodiscard]] std::string ImageName(const std::string& tag) const {
    return Repository() + ":" + tag;
  }
  [[nodiscard]] Json Labels(ContainerId id, const char* role) const {
    return {{kNodeLabel, options.node}, {kIdLabel, std::to_string(id.value)}, {kRoleLabel, role}};
  }
  // What a coroutine is given lives in this frame.
  Awaitable<Json> Get(std::string target);
  Awaitable<Json> Post(std::string target);
  Awaitable<Json> Delete(std::string target);
  Awaitable<bool> HasImage(std::string name);
  Awaitable<> Import(fs::path rootfs, uint32_t owner_base, std::string tag);
  Awaitable<> ImportPause();
  Awaitable<> Create(std::string name, Json body);
  Awaitable<ContainerProcess> ProcessOf(std::string name);
  Awaitable<UniqueFd> StreamLog(std::string name);
  asio::awaitable<void> Pump(EngineClient::Upgraded stream,
                             std::shared_ptr<asio::posix::stream_descriptor> pipe);
  Awaitable<> RemoveContainer(std::string name);
};

Awaitable<Json> DockerMaker::Impl::Get(std::string target) {
  std::string method = "GET";
  Json none;
  Result<Json> answer = co_await engine.Ask(std::move(method), std::move(target), std::move(none));
  co_return answer;
}

Awaitable<Json> DockerMaker::Impl::Post(std::string target) {
  std::string method = "POST";
  Json none;
  Result<Json> answer = co_await engine.Ask(std::move(method), std::move(target), std::move(none));
  co_return answer;
}

Awaitable<Json> DockerMaker::Impl::Delete(std::string target) {
  std::string method = "DELETE";
  Json none;
  Result<Json> answer = co_await engine.Ask(std::move(method), std::move(target), std::move(none));
  co_return answer;
}

Awaitable<bool> DockerMaker::Impl::HasImage(std::string name) {
  std::string target = "/images/" + name + "/json";
  const Result<Json> found = co_await Get(std::move(target));
  if (found) co_return true;
  if (found.error().code == Code::kNotFound) co_return false;
  co_return tl::unexpected(found.error());
}

Awaitable<> DockerMaker::Impl::Import(fs::path rootfs, uint32_t owner_base, std::string tag) {
  std::string name = ImageName(tag);
  CO_TRY_ASSIGN(const bool known, co_await HasImage(std::move(name)));
  if (known) co_return Result<>{};
  const fs::path archive = options.folder / ("image-" + tag + ".tar");
  const auto write = [&rootfs, owner_base, &archive]() -> asio::awaitable<Result<>> {
    co_return WriteImageTar(rootfs, owner_base, archive);
  };
  asio::awaitable<Result<>> work = write();
  const Result<> written = co_await asio::co_spawn(pool, std::move(work), asio::use_awaitable);
  if (!written) {
    (void)::unlink(archive.c_str());
    co_return written;
  }
  std::string target = "/images/create?fromSrc=-&repo=" + Repository() + "&tag=" + tag +
                       "&changes=" + EscapeForUrl("LABEL " + std::string(kNodeLabel) + "=" +
                                                  options.node);
  std::string method = "POST";
  const Result<> sent = co_await engine.SendFile(std::move(method), std::move(target), archive);
  (void)::unlink(archive.c_str());
  if (!sent) co_return sent;
  // The daemon says that it failed in a line of a successful answer.
  name = ImageName(tag);
  CO_TRY_ASSIGN(const bool there, co_await HasImage(std::move(name)));
  if (there) co_return Result<>{};
  co_return Fail(Code::kInternal, "Docker Engine did not take the image " + ImageName(tag));
}

Awaitable<> DockerMaker::Impl::ImportPause() {
  const TemporaryFolder folder;
  const fs::path root = folder.path() / "root";
  CO_TRY(MakeFolder(root));
  std::error_code error;
  fs::copy_file(ProgramFolder() / kPauseProgram, root / "pause", error);
  if (error) {
    co_return Fail(Code::kNotFound, "the program " + (ProgramFolder() / kPauseProgram).string() +
                                        " cannot be read: " + error.message());
  }
  std::string tag = "pause";
  Result<> imported = co_await Import(root, 0, std::move(tag));
  co_return imported;
}

Awaitable<> DockerMaker::Impl::Create(std::string name, Json body) {
  std::string target = "/containers/create?name=" + name;
  std::string method = "POST";
  CO_TRY(co_await engine.Ask(std::move(method), std::move(target), std::move(body)));
  co_return Result<>{};
}

// Errors: kNotFound it has ended.
Awaitable<ContainerProcess> DockerMaker::Impl::ProcessOf(std::string name) {
  std::string target = "/containers/" + name + "/json";
  CO_TRY_ASSIGN(const Json found, co_await Get(std::move(target)));
  const int64_t pid = NumberAt(found, "/State/Pid");
  if (pid > 0) co_return ContainerProcess::Open(static_cast<pid_t>(pid));
  co_return Fail(Code::kNotFound, "container " + name + " has ended");
}

// The read end of a pipe that gets what the container writes from now on.
Awaitable<UniqueFd> DockerMaker::Impl::StreamLog(std::string name) {
  std::string target = "/containers/" + name + "/attach?stream=1&stdout=1&stderr=1";
  CO_TRY_ASSIGN(EngineClient::Upgraded stream, co_await engine.Upgrade(std::move(target)));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) co_return FailErrno("pipe");
  UniqueFd read_end(ends[0]);
  auto pipe = std::make_shared<asio::posix::stream_descriptor>(executor, ends[1]);
  asio::co_spawn(executor, Pump(std::move(stream), std::move(pipe)), asio::detached);
  co_return read_end;
}

asio::awaitable<void> DockerMaker::Impl::Pump(
    EngineClient::Upgraded stream, std::shared_ptr<asio::posix::stream_descriptor> pipe) {
  const std::shared_ptr<Impl> self = shared_from_this();
  StreamDemux demux;
  std::string piece = std::move(stream.first);
  std::string output;
  for (;;) {
    output.clear();
    const Result<> taken = demux.Take(piece, output);
    if (!output.empty()) {
      const auto [failed, written] =
          co_await asio::async_write(*pipe, asio::buffer(output), kTuple);
      if (failed) co_return;  // Nobody reads it any more.
    }
    if (!taken) {
      spdlog::warn("a container's log ends: {}", taken.error().message);
      co_return;
    }
    piece.resize(16 * 1024);
    const auto [error, size] =
        co_await stream.socket.async_read_some(asio::buffer(piece), kTuple);
    if (error) co_return;
    piece.resize(size);
  }
}

Awaitable<> DockerMaker::Impl::RemoveContainer(std::string name) {
  std::string target = "/containers/" + name + "?force=1&v=1";
  const Result<Json> removed = co_await Delete(std::move(target));
  // 409: its removal is under way.
  const bool gone = removed || removed.error().code == Code::kNotFound ||
                    removed.error().code == Code::kConflict;
  if (gone) co_return Result<>{};
  co_return tl::unexpected(removed.error());
}

DockerMaker::DockerMaker(asio::any_io_executor executor, RuntimeHostOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options))) {}

DockerMaker::~DockerMaker() = default;

Awaitable<std::string> DockerMaker::Open() {
  const std::shared_ptr<Impl> impl = impl_;
  std::string target = "/version";
  CO_TRY_ASSIGN(const Json version, co_await impl->Get(std::move(target)));
  CO_TRY(co_await impl->ImportPause());
  co_return "Docker Engine " + TextAt(version, "/Version");
}

Awaitable<std::vector<RunningContainer>> DockerMaker::Survivors() {
  const std::shared_ptr<Impl> impl = impl_;
  const Json filters = {{"label", {std::string(kNodeLabel) + "=" + impl->options.node}}};
  std::string target = "/containers/json?all=1&filters=" + EscapeForUrl(filters.dump());
  CO_TRY_ASSIGN(const Json all, co_await impl->Get(std::move(target)));
  std::vector<RunningContainer> survivors;
  std::vector<std::string> others;
  std::map<std::string, std::string> networks;  // by id
  for (const Json& one : all.is_array() ? all : Json::array()) {
    const std::string own_id = TextAt(one, "/Id");
    const std::string text = LabelOf(one, kIdLabel);
    RunningContainer found;
    const auto [end, bad] =
        std::from_chars(text.data(), text.data() + text.size(), found.id.value);
    const bool runs = TextAt(one, "/State") == "running";
    const std::string role = LabelOf(one, kRoleLabel);
    if (bad == std::errc() && runs && role == kNetworkRole) {
      networks[text] = own_id;
      continue;
    }
    found.label = LabelOf(one, kLabelLabel);
    found.image.value = LabelOf(one, kImageLabel);
    Result<ContainerProcess> process = Fail(Code::kNotFound, "");
    Result<UniqueFd> log = Fail(Code::kNotFound, "");
    if (bad == std::errc() && runs && role == kFunctionRole) {
      process = co_await impl->ProcessOf(own_id);
      log = co_await impl->StreamLog(own_id);
    }
    if (!process || !log) {
      others.push_back(own_id);
      continue;
    }
    found.process = std::move(*process);
    found.log = std::move(*log);
    survivors.push_back(std::move(found));
  }
  for (const auto& [text, own_id] : networks) {
    const bool used = std::any_of(survivors.begin(), survivors.end(), [&text](const auto& one) {
      return std::to_string(one.id.value) == text;
    });
    if (!used) others.push_back(own_id);
  }
  for (const std::string& own_id : others) {
    const Result<> removed = co_await impl->RemoveContainer(own_id);
    if (!removed) spdlog::warn("container {} is left over: {}", own_id, removed.error().message);
  }
  co_return survivors;
}

Awaitable<> DockerMaker::PrepareImage(Digest image) {
  const std::shared_ptr<Impl> impl = impl_;
  fs::path rootfs = impl->options.images / image.value / "rootfs";
  Result<> imported =
      co_await impl->Import(std::move(rootfs), sandbox::kOwnerBase, std::move(image.value));
  co_return imported;
}

Awaitable<> DockerMaker::RemoveImage(Digest image) {
  const std::shared_ptr<Impl> impl = impl_;
  std::string target = "/images/" + impl->ImageName(image.value);
  const Result<Json> removed = co_await impl->Delete(std::move(target));
  if (removed || removed.error().code == Code::kNotFound) co_return Result<>{};
  co_return tl::unexpected(removed.error());
}

Awaitable<sandbox::NetworkNamespace> DockerMaker::Hold(ContainerId id) {
  const std::shared_ptr<Impl> impl = impl_;
  Json host = Confined("none");
  host["ReadonlyRootfs"] = true;
  host["Memory"] = kPauseMemory;
  host["PidsLimit"] = 4;
  Json body = {{"Image", impl->ImageName("pause")},
               {"Entrypoint", {"/pause"}},
               {"Labels", impl->Labels(id, kNetworkRole)},
               {"User", "65534:65534"},
               {"HostConfig", std::move(host)}};
  const std::string name = impl->NetworkNameOf(id);
  CO_TRY(co_await impl->Create(name, std::move(body)));
  std::string target = "/containers/" + name + "/start";
  CO_TRY(co_await impl->Post(std::move(target)));
  CO_TRY_ASSIGN(const ContainerProcess process, co_await impl->ProcessOf(name));
  co_return sandbox::NetworkNamespace::Of(process.pid());
}

Awaitable<RunningContainer> DockerMaker::Start(ContainerId id, SandboxSpec spec,
                                               const sandbox::NetworkNamespace& network,
                                               bool /*untouched*/) {
  const std::shared_ptr<Impl> impl = impl_;
  const bool held = static_cast<bool>(network);
  const std::string name = impl->NameOf(id);
  Json environment = Json::array();
  for (const auto& [key, value] : spec.environment) environment.push_back(key + "=" + value);
  if (!spec.environment.contains("PATH")) {
    environment.push_back(std::string("PATH=") + sandbox::kDefaultPath);
  }
  Json labels = impl->Labels(id, kFunctionRole);
  labels[kLabelLabel] = spec.label;
  labels[kImageLabel] = spec.image.value;
  const std::string mode = held ? "container:" + impl->NetworkNameOf(id) : "none";
  Json body = {{"Image", impl->ImageName(spec.image.value)},
               {"Entrypoint", spec.argv},
               {"Cmd", Json::array()},
               {"Env", std::move(environment)},
               {"WorkingDir", spec.working_folder},
               {"User", std::to_string(spec.uid) + ":" + std::to_string(spec.gid)},
               {"Labels", std::move(labels)},
               {"AttachStdout", true},
               {"AttachStderr", true},
               {"HostConfig", HostConfigOf(spec, mode)}};
  // The host name is its network's, where that is another container's.
  if (!held) body["Hostname"] = spec.name;
  CO_TRY(co_await impl->Create(name, std::move(body)));
  RunningContainer running{id, spec.label, spec.image, {}, {}};
  CO_TRY_ASSIGN(running.log, co_await impl->StreamLog(name));
  std::string target = "/containers/" + name + "/start";
  const Result<Json> started = co_await impl->Post(std::move(target));
  if (!started) {
    Error error = started.error();
    const Code code = CodeOfRuntimeError(error.message);
    if (code == Code::kInvalidArgument) error.code = code;
    co_return tl::unexpected(std::move(error));
  }
  Result<ContainerProcess> process = co_await impl->ProcessOf(name);
  if (process) {
    running.process = std::move(*process);
    (void)running.process.SetWeight(kBootWeightPercent);
  } else if (process.error().code != Code::kNotFound) {
    co_return tl::unexpected(std::move(process.error()));
  }
  co_return running;
}

Awaitable<int> DockerMaker::ExitStatus(ContainerId id, int /*pidfd*/) {
  const std::shared_ptr<Impl> impl = impl_;
  std::string target = "/containers/" + impl->NameOf(id) + "/wait";
  std::string method = "POST";
  const Result<Json> ended = co_await impl->engine.AskAndWait(std::move(method), std::move(target));
  if (!ended || !ended->contains("StatusCode")) co_return 255;
  co_return static_cast<int>(NumberAt(*ended, "/StatusCode"));
}

Awaitable<> DockerMaker::Remove(ContainerId id) {
  const std::shared_ptr<Impl> impl = impl_;
  std::string name = impl->NameOf(id);
  std::string network_name = impl->NetworkNameOf(id);
  Result<> container = co_await impl->RemoveContainer(std::move(name));
  if (!container) co_return container;
  Result<> network = co_await impl->RemoveContainer(std::move(network_name));
  co_return network;
}

Awaitable<> DockerMaker::Close() { co_return Result<>{}; }

}  // namespace hybridserve

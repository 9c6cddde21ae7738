#include "server/node.h"

#include <fmt/core.h>
#include <pwd.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "admin/admin_server.h"
#include "admin/control_thread.h"
#include "admin/deployer.h"
#include "admin/secrets.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "container/sandbox_runtime.h"
#include "container/warm_pool.h"
#include "egress/proxy.h"
#include "function/keys.h"
#include "gateway/gateway.h"
#include "launcher/client.h"
#include "router/router.h"
#include "sandbox/lockdown.h"
#include "server/agent_link.h"
#include "server/container_spec.h"
#include "server/launcher_images.h"
#include "server/memory.h"
#include "store/blob_store.h"
#include "store/registry.h"
#include "telemetry/function_log.h"
#include "telemetry/metrics.h"
#include "tls/certificate.h"
#include "wasm/executor_host.h"
#include "wasm/executor_pool.h"

namespace hybridserve {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds kWatchPause{1};
constexpr std::chrono::seconds kAdoptPause{1};

uint64_t OrHalfOfTheMachine(uint64_t bytes) {
  return bytes != 0 ? bytes : MachineMemoryBytes() / 2;
}

// From now on the process reads what guests and clients wrote. What may load libraries at its first
// use (a user's name, a host's, a digest) is used before.
Result<> LockServer() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  spdlog::warn("no system-call filter: the sanitizers that this server was built with need more");
  return {};
#else
  (void)::getpwuid(::geteuid());
  (void)Sha256("");
  (void)SystemLookup("localhost");
  const auto locked = sandbox::Lockdown(sandbox::Profile::kServer);
  if (!locked) return Wrap(locked.error(), "give up what the server never needs");
  return {};
#endif
}

// The files of the configuration that are no function's business.
std::vector<NodeFile> NodeFiles(const NodeConfig& config) {
  const NodeFile files[] = {
      {config.admin_token_file, "the admin API's tokens (admin.token_file)"},
      {config.admin_tls_key, "the admin API's private key (admin.tls_key)"},
      {config.tls_key, "the gateway's private key (gateway.tls_key)"},
  };
  std::vector<NodeFile> named;
  for (const NodeFile& file : files) {
    if (!file.path.empty()) named.push_back(file);
  }
  return named;
}

// runc and crun run what is in the store; the daemons have stores of their own.
bool MakesImages(std::string_view runtime) {
  return runtime == ContainerRuntimeName(ContainerRuntimeKind::kDocker) ||
         runtime == ContainerRuntimeName(ContainerRuntimeKind::kContainerd);
}

// "NAME@REVISION" of a container back to the live revision it belongs to.
DeployedPtr LiveRevision(const Router& router, std::string_view label) {
  const size_t at = label.rfind('@');
  if (at == std::string_view::npos) return nullptr;
  DeployedPtr function = router.Find(FunctionName{std::string(label.substr(0, at))});
  return function && ContainerLabel(*function) == label ? function : nullptr;
}

}  // namespace

struct Node::Impl {
  Impl(asio::any_io_executor the_executor, NodeConfig the_config, UniqueFd socket,
       std::function<void(Error)> on_fatal)
      : executor(std::move(the_executor)),
        config(std::move(the_config)),
        launcher(executor, std::move(socket), LauncherEvents(std::move(on_fatal))),
        executor_host(launcher) {}

  LauncherClient::Events LauncherEvents(std::function<void(Error)> on_fatal) {
    LauncherClient::Events events;
    events.executor_exited = [this](ExecutorId id, int status) {
      if (wasm) wasm->OnExecutorExited(id, status);
    };
    events.sandbox_exited = [this](const SandboxExit& exit) {
      OnSandboxExit(exit);
    };
    events.launcher_gone = [on_fatal = std::move(on_fatal)] {
      on_fatal(
          Error{Code::kInternal, "the launcher has ended; the server cannot go on without it"});
    };
    return events;
  }

  void OnSandboxExit(const SandboxExit& exit) {
    if (runtime) runtime->OnSandboxExit(exit);
  }

  asio::any_io_executor executor;
  NodeConfig config;
  LauncherClient launcher;
  LauncherAbilities abilities;
  std::optional<LauncherImages> images;
  LauncherExecutorHost executor_host;
  ControlThread control;
  FunctionLogs logs;
  Metrics metrics;
  std::optional<BlobStore> blobs;
  std::unique_ptr<Registry> registry;
  std::shared_ptr<TlsCertificate> gateway_certificate;  // nullptr: without TLS.
  std::shared_ptr<TlsCertificate> admin_certificate;    // nullptr: no TCP.
  std::shared_ptr<KeyFile> admin_tokens;                // nullptr: no TCP.
  std::optional<AgentLink> agent;  // Absent: the launcher makes the containers, or nobody.
  std::optional<Proxy> proxy;
  std::optional<ExecutorPool> wasm;
  std::optional<SandboxRuntime> runtime;
  std::optional<WarmPool> containers;
  std::optional<Router> router;
  std::optional<Gateway> gateway;
  std::optional<Deployer> deployer;
  std::optional<AdminServer> admin;
  std::chrono::system_clock::time_point started = std::chrono::system_clock::now();

  Result<> OpenStore();
  Result<> OpenAccess();
  void MakeProxy();
  void MakeWasm();
  Awaitable<> OpenContainers();
  void MakeContainers(SandboxHost& host);
  void MakeRouter();
  void MakeDeployer();
  void MakeAdmin();
  void CountLevels(Gauges& gauges) const;
  [[nodiscard]] LiveStatus StatusOf(const FunctionName& name) const;
  [[nodiscard]] NodeInfo Info() const;
  Awaitable<> OpenDoors();
  void ReloadIfChanged() const;
  asio::awaitable<void> WatchFiles();
  Awaitable<> Adopt();
  asio::awaitable<void> AdoptLater();

  asio::steady_timer watch{executor};
  asio::steady_timer adoption{executor};
  bool stopping = false;
};

Result<> Node::Impl::OpenStore() {
  const std::filesystem::path folder = config.ServerFolder();
  TRY_ASSIGN(BlobStore opened_blobs, BlobStore::Open(folder / "blobs"));
  blobs.emplace(std::move(opened_blobs));
  TRY_ASSIGN(registry, Registry::Open(folder / "registry.db"));
  return {};
}

// What says who may come in, and by which name the node is known.
Result<> Node::Impl::OpenAccess() {
  if (!config.tls_certificate.empty()) {
    TRY_ASSIGN(gateway_certificate,
               TlsCertificate::Open("gateway", config.tls_certificate, config.tls_key));
  }
  if (config.admin_listen.empty()) return {};
  TRY_ASSIGN(admin_certificate,
             TlsCertificate::Open("admin", config.admin_tls_certificate, config.admin_tls_key));
  Result<std::shared_ptr<KeyFile>> tokens = KeyFile::Open(config.admin_token_file);
  if (!tokens) return Wrap(std::move(tokens.error()), "admin.token_file");
  admin_tokens = std::move(*tokens);
  return {};
}

void Node::Impl::MakeProxy() {
  EgressOptions options;
  options.allowed = config.allowed_network;
  options.max_head_bytes = config.header_bytes;
  options.head_timeout = config.header_timeout;
  options.idle_timeout = config.idle_timeout;
  proxy.emplace(executor, std::move(options), metrics);
}

void Node::Impl::MakeWasm() {
  ExecutorPoolOptions options;
  options.engine = config.engine;
  options.threads = config.wasm_threads;
  options.executor_memory_bytes = OrHalfOfTheMachine(config.wasm_memory_bytes);
  options.compile_timeout = config.compile_timeout;
  options.aot_folder = config.ServerFolder() / "aot";
  options.aot_key_file = config.ServerFolder() / "aot.key";
  options.proxy = [this](const DeployedPtr& function) { return proxy->Connect(function); };
  ExecutorPoolEvents events;
  events.log = [this](const Deployed& function, std::string_view, std::string_view text) {
    logs.Append(function.manifest.name, LogSource::kWasm, text);
  };
  events.executor_died = [](std::string_view domain, std::string_view why) {
    spdlog::warn("the executor of trust domain {} died ({}); starting another", domain, why);
  };
  wasm.emplace(
      executor, std::move(options), executor_host,
      [this](const Digest& module) { return blobs->OpenBlob(module); }, std::move(events));
}

// An agent that does not answer leaves the node with Wasm alone.
Awaitable<> Node::Impl::OpenContainers() {
  if (!abilities.containers) co_return Result<>();
  if (abilities.runtime == ContainerRuntimeName(ContainerRuntimeKind::kNative)) {
    images.emplace(launcher, nullptr);
    MakeContainers(launcher);
    co_return Result<>();
  }
  agent.emplace(executor, launcher, abilities.runtime,
                [this](const SandboxExit& exit) { OnSandboxExit(exit); });
  images.emplace(launcher, MakesImages(abilities.runtime) ? &*agent : nullptr);
  const Result<> opened = co_await agent->Open();
  if (opened) {
    MakeContainers(*agent);
    co_return Result<>();
  }
  spdlog::warn("no containers: {}", opened.error().message);
  abilities.why_not = "no containers: " + opened.error().message;
  agent.reset();
  co_return Result<>();
}

void Node::Impl::MakeContainers(SandboxHost& host) {
  runtime.emplace(executor, host, abilities.runtime);
  PoolOptions options;
  options.boots = config.boots;
  options.max_containers = config.max_containers;
  options.memory_bytes = OrHalfOfTheMachine(config.container_memory_bytes);
  PoolEvents events;
  events.booted = [this](const Deployed&, std::string_view outcome, Microseconds boot_time) {
    metrics.CountBoot(outcome, boot_time);
  };
  events.thawed = [this](const Deployed&, Microseconds thaw_time) {
    metrics.CountThaw(thaw_time);
  };
  events.slot_freed = [this](const Deployed& function) {
    if (router) router->OnSlotFreed(function);
  };
  events.log_line = [this](const Deployed& function, std::string_view line) {
    logs.Append(function.manifest.name, LogSource::kContainer, line);
  };
  WarmPoolParts parts;
  parts.spec = MakeContainerSpec;
  parts.network = [this](UniqueFd listener, const DeployedPtr& function) {
    return proxy->Serve(std::move(listener), function);
  };
  containers.emplace(executor, *runtime, options, std::move(events), std::move(parts));
}

void Node::Impl::MakeRouter() {
  Router::Options options;
  options.policy = config.policy;
  options.allow_route_header = config.allow_route_header;
  options.max_containers = config.max_containers;
  router.emplace(executor, options, &*wasm, containers ? &*containers : nullptr, metrics);
  metrics.OnCollect([this](Gauges& gauges) { CountLevels(gauges); });
  Gateway::Options gateway_options;
  gateway_options.config = config;
  gateway_options.out_of_service = [this](const FunctionName& name) {
    return deployer ? deployer->FailureOf(name) : std::string();
  };
  gateway_options.certificate = gateway_certificate;
  gateway.emplace(executor, std::move(gateway_options), *router, metrics);
}

void Node::Impl::MakeDeployer() {
  Deployer::Options options;
  options.state_folder = config.state_folder;
  options.node_files = NodeFiles(config);
  options.allowed_folders = config.allowed_folders;
  options.allowed_network = config.allowed_network;
  options.containers_why_not = abilities.why_not;
  DataPath data_path;
  data_path.serve = [this](DeployedPtr function) { router->Deploy(std::move(function)); };
  data_path.withdraw = [this](const FunctionName& name) {
    router->Remove(name);
    logs.Remove(name);
  };
  data_path.status = [this](const FunctionName& name) { return StatusOf(name); };
  deployer.emplace(executor, std::move(options), std::move(data_path), &*wasm,
                   containers ? &*images : nullptr, control, *blobs, *registry);
}

void Node::Impl::MakeAdmin() {
  AdminOptions options;
  options.socket = config.AdminSocket();
  options.listen = config.admin_listen;
  options.certificate = admin_certificate;
  options.tokens = admin_tokens;
  options.max_blob_bytes = config.max_blob_bytes;
  admin.emplace(executor, std::move(options),
                AdminParts{*deployer, *blobs, control, logs, [this] { return Info(); },
                           [this] { return metrics.Serialize(); }});
}

void Node::Impl::CountLevels(Gauges& gauges) const {
  gauges.server_memory_bytes += ResidentBytes(::getpid());
  for (const pid_t pid : wasm->Processes()) gauges.executor_memory_bytes += ResidentBytes(pid);
}

LiveStatus Node::Impl::StatusOf(const FunctionName& name) const {
  const Router::FunctionStatus status = router->Status(name);
  LiveStatus live;
  live.wasm_running = status.wasm_running;
  live.queued = status.queued;
  live.wasm_loaded = status.wasm_loaded;
  live.containers_ready = status.containers.ready;
  live.containers_frozen = status.containers.frozen;
  live.containers_starting = status.containers.starting;
  live.busy_slots = status.containers.busy_slots;
  live.free_slots = status.containers.free_slots;
  live.container_boot = status.containers.boot_time;
  return live;
}

NodeInfo Node::Impl::Info() const {
  NodeInfo info;
  HostPort address = ParseHostPort(config.listen).value_or(HostPort{});
  const bool six = address.host.find(':') != std::string::npos;
  info.gateway =
      fmt::format(fmt::runtime(six ? "[{}]:{}" : "{}:{}"), address.host, gateway->port());
  info.gateway_tls = gateway_certificate != nullptr;
  info.policy = config.policy;
  info.allow_route_header = config.allow_route_header;
  info.wasm = true;
  info.containers = containers.has_value();
  info.container_runtime = info.containers ? abilities.runtime : std::string();
  info.containers_why_not = abilities.why_not;
  info.full_jail = abilities.full_jail;
  info.cgroup = abilities.cgroup;
  info.state_folder = config.state_folder.string();
  info.started = started;
  return info;
}

// The ways in, once everything behind them is there.
Awaitable<> Node::Impl::OpenDoors() {
  CO_TRY_ASSIGN(const HostPort address, ParseHostPort(config.listen));
  CO_TRY(gateway->Listen(address));
  CO_TRY(admin->Listen());
  if (!config.admin_listen.empty()) {
    spdlog::info("admin API on https://{}, with a token", admin->tcp_address());
  }
  const NodeInfo info = Info();
  spdlog::info("ready on {}://{}, policy {}, {}", info.gateway_tls ? "https" : "http", info.gateway,
               PolicyName(info.policy),
               info.containers ? "Wasm and containers by " + info.container_runtime + " (" +
                                     abilities.runtime_why + ")"
                               : "Wasm only, " + info.containers_why_not);
  co_return Result<>();
}

// Waits for the disk: on the control thread.
void Node::Impl::ReloadIfChanged() const {
  if (gateway_certificate) gateway_certificate->ReloadIfChanged();
  if (admin_certificate) admin_certificate->ReloadIfChanged();
  if (admin_tokens) admin_tokens->ReloadIfChanged();
}

// Takes back the containers that outlived the server before this one.
Awaitable<> Node::Impl::Adopt() {
  const auto resolve = [this](std::string_view label) { return LiveRevision(*router, label); };
  Result<> adopted = co_await containers->Adopt(resolve);
  co_return adopted;
}

// A runtime that is away now keeps them until it is back.
asio::awaitable<void> Node::Impl::AdoptLater() {
  while (!stopping) {
    adoption.expires_after(kAdoptPause);
    (void)co_await adoption.async_wait(asio::as_tuple(asio::use_awaitable));
    if (stopping) break;
    const Result<> adopted = co_await Adopt();
    if (adopted) break;
  }
}

// Certificates and keys are changed by changing their files.
asio::awaitable<void> Node::Impl::WatchFiles() {
  while (!stopping) {
    watch.expires_after(kWatchPause);
    (void)co_await watch.async_wait(asio::as_tuple(asio::use_awaitable));
    if (stopping) break;
    const std::vector<std::shared_ptr<KeyFile>> keys = deployer->KeyFiles();
    if (keys.empty() && !gateway_certificate && !admin_tokens) continue;
    auto reload = [this, &keys] {
      ReloadIfChanged();
      for (const std::shared_ptr<KeyFile>& file : keys) file->ReloadIfChanged();
      return true;
    };
    (void)co_await control.Run(reload);
  }
}

Node::Node(asio::any_io_executor executor, NodeConfig config, UniqueFd launcher,
           std::function<void(Error)> on_fatal)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(config), std::move(launcher),
                                   std::move(on_fatal))) {}

Node::~Node() = default;

Awaitable<> Node::Start() {
  Impl& node = *impl_;
  auto abilities = co_await node.launcher.Hello();
  if (!abilities) co_return tl::unexpected(std::move(abilities.error()));
  node.abilities = std::move(*abilities);
  CO_TRY(node.OpenStore());
  CO_TRY(node.OpenAccess());
  CO_TRY(LockServer());
  node.MakeProxy();
  node.MakeWasm();
  CO_TRY(co_await node.OpenContainers());
  node.MakeRouter();
  node.MakeDeployer();
  node.MakeAdmin();
  auto wasm_started = co_await node.wasm->Start();
  if (!wasm_started) co_return Wrap(std::move(wasm_started.error()), "start the Wasm executor");
  auto deployed = co_await node.deployer->Start();
  if (!deployed) co_return tl::unexpected(std::move(deployed.error()));
  if (node.containers) {
    const Result<> adopted = co_await node.Adopt();
    if (!adopted) {
      spdlog::warn("cannot adopt containers yet: {}", adopted.error().message);
      asio::co_spawn(node.executor, node.AdoptLater(), asio::detached);
    }
  }
  CO_TRY(co_await node.OpenDoors());
  asio::co_spawn(node.executor, node.WatchFiles(), asio::detached);
  auto told = co_await node.launcher.Ready();
  co_return told;
}

Awaitable<> Node::Stop() {
  Impl& node = *impl_;
  node.stopping = true;
  node.watch.cancel();
  node.adoption.cancel();
  auto drained = co_await node.gateway->Drain();
  if (!drained) spdlog::warn("{}", drained.error().message);
  // A deploy that is under way has changed nothing yet: it need not be finished.
  const auto until = std::chrono::steady_clock::now() + node.config.drain_timeout;
  const bool admin_ended = co_await node.admin->Stop(until);
  const bool deploys_ended = co_await node.deployer->Stop(until);
  if (node.containers) {
    auto ended = co_await node.containers->Drain();
    if (!ended) spdlog::warn("end the containers: {}", ended.error().message);
  }
  if (!admin_ended || !deploys_ended) {
    co_return Fail(Code::kTimeout, "a deploy or a request to the admin API did not end within " +
                                       std::to_string(node.config.drain_timeout.count()) +
                                       " ms and is given up (gateway.drain_timeout)");
  }
  co_return Result<>();
}

}  // namespace hybridserve

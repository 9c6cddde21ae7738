#include "container/agent/bundle/bundle_maker.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <chrono>
#include <list>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "base/file.h"
#include "container/agent/bundle/bundle_folder.h"
#include "container/agent/bundle/runtime_spec.h"
#include "container/agent/container_process.h"
#include "container/agent/wait_for_exit.h"
#include "container/event.h"
#include "sandbox/id_range.h"

namespace hybridserve {

namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
// A function that starts takes the processor: the next container of it waits that long.
constexpr std::chrono::milliseconds kAheadDelay{500};

// A container as the runtime knows it.
struct Made {
  uint64_t serial = 0;
  SandboxSpec spec;
  ContainerProcess process;
  UniqueFd log;
};

bool Same(const SandboxSpec& a, const SandboxSpec& b) {
  const auto all = [](const SandboxSpec& s) {
    return std::tie(s.name, s.label, s.image, s.argv, s.environment, s.working_folder, s.uid, s.gid,
                    s.writable_root, s.memory_bytes, s.disk_bytes, s.pids, s.cpu_cores);
  };
  return all(a) == all(b);
}

// Whether process `pid` is in the container's cgroup: a pid may be another's by now.
bool IsIn(pid_t pid, const std::string& name) {
  const auto groups = ReadFile("/proc/" + std::to_string(pid) + "/cgroup", 64 * 1024);
  return groups && groups->find("/" + name) != std::string::npos;
}

// As our own sandboxes have, where this process may give that many.
uint64_t OpenFiles() {
  constexpr uint64_t kOpenFiles = 65536;
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? std::min<uint64_t>(limit.rlim_max, kOpenFiles)
                                                 : 1024;
}

bool SwapIsCounted() {
  return ::access("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", F_OK) == 0 ||
         ::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
}

}  // namespace

struct BundleMaker::Impl : std::enable_shared_from_this<BundleMaker::Impl> {
  explicit Impl(const asio::any_io_executor& loop)
      : executor(loop), pause(loop), made_ahead(loop) {}

  asio::any_io_executor executor;
  asio::steady_timer pause;
  Event made_ahead;
  std::unique_ptr<BundleRuntime> runtime;
  RuntimeHostOptions options;
  UniqueFd owners;  // A user namespace: the store's owners as users from 0 on.
  std::map<uint64_t, uint64_t> serials;  // By sandbox.
  std::list<Made> ahead;                 // Created, their programs not run; used last in front.
  uint64_t next_serial = 1;
  bool making_ahead = false;
  bool closed = false;

  [[nodiscard]] std::string NameOf(uint64_t serial) const {
    return "hybridserve-" + options.node + "-" + std::to_string(serial);
  }
  [[nodiscard]] fs::path Folder(uint64_t serial) const {
    return options.folder / "containers" / std::to_string(serial);
  }
  std::vector<uint64_t> Folders() const;
  Awaitable<> RemoveUnknown();
  Awaitable<Made> Create(uint64_t serial, SandboxSpec spec,
                         const sandbox::NetworkNamespace& network);
  Awaitable<> Forget(uint64_t serial, pid_t pid);
  void AheadSoon(const SandboxSpec& spec);
  asio::awaitable<void> CreateAhead(SandboxSpec spec);
  Awaitable<> DropAhead(size_t but);
};

std::vector<uint64_t> BundleMaker::Impl::Folders() const {
  std::vector<uint64_t> all;
  std::error_code error;
  for (const auto& one : fs::directory_iterator(options.folder / "containers", error)) {
    const std::string name = one.path().filename();
    uint64_t serial = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), serial);
    if (bad == std::errc() && end == name.data() + name.size()) all.push_back(serial);
  }
  return all;
}

// Kills it, if `pid` is still its process, and removes every trace.
Awaitable<> BundleMaker::Impl::Forget(uint64_t serial, pid_t pid) {
  const std::string name = NameOf(serial);
  if (pid > 0 && IsIn(pid, name)) {
    Result<ContainerProcess> process = ContainerProcess::Open(pid);
    if (process) {
      process->Kill();
      co_await WaitForExit(executor, process->pidfd());
      (void)co_await runtime->ExitStatus(name, process->pidfd());
    }
  }
  CO_TRY(co_await runtime->Delete(name));
  co_return RemoveBundleFolder(Folder(serial));
}

// What the runtime knows under this node's names, and has no folder.
Awaitable<> BundleMaker::Impl::RemoveUnknown() {
  std::string prefix = "hybridserve-" + options.node + "-";
  const std::vector<uint64_t> folders = Folders();
  CO_TRY_ASSIGN(const std::vector<std::string> known, co_await runtime->List(std::move(prefix)));
  for (const std::string& name : known) {
    const bool ours = std::any_of(folders.begin(), folders.end(), [this, &name](uint64_t serial) {
      return NameOf(serial) == name;
    });
    if (ours) continue;
    const Result<> deleted = co_await runtime->Delete(name);
    if (!deleted) spdlog::warn("container {} is left over: {}", name, deleted.error().message);
  }
  co_return Result<>{};
}

Awaitable<Made> BundleMaker::Impl::Create(uint64_t serial, SandboxSpec spec,
                                          const sandbox::NetworkNamespace& network) {
  const fs::path folder = Folder(serial);
  const fs::path image = options.images / spec.image.value / "rootfs";
  CO_TRY(MakeBundleFolder(folder, spec, image, owners.get()));
  Made made;
  made.serial = serial;
  CO_TRY_ASSIGN(made.log, OpenBundleLog(folder));
  RuntimeSpecPlaces places;
  places.rootfs = folder / "rootfs";
  places.scratch = folder / "scratch";
  places.network = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(network.fd());
  places.cgroup = "/" + NameOf(serial);
  places.open_files = OpenFiles();
  places.swap_is_counted = SwapIsCounted();
  CO_TRY(WriteFileAtomically(folder / "config.json", MakeRuntimeSpec(spec, places), 0600));
  Bundle bundle{NameOf(serial), folder, folder / "log"};
  BundleNote note;
  CO_TRY_ASSIGN(note.pid, co_await runtime->Create(std::move(bundle)));
  CO_TRY_ASSIGN(made.process, ContainerProcess::Open(note.pid));
  (void)made.process.SetWeight(kBootWeightPercent);
  CO_TRY(WriteBundleNote(folder, note));
  made.spec = std::move(spec);
  co_return made;
}

void BundleMaker::Impl::AheadSoon(const SandboxSpec& spec) {
  if (closed || making_ahead || options.held == 0) return;
  const auto same = [&spec](const Made& made) { return Same(made.spec, spec); };
  if (std::any_of(ahead.begin(), ahead.end(), same)) return;
  making_ahead = true;
  asio::co_spawn(executor, CreateAhead(spec), asio::detached);
}

asio::awaitable<void> BundleMaker::Impl::CreateAhead(SandboxSpec spec) {
  const std::shared_ptr<Impl> self = shared_from_this();
  pause.expires_after(kAheadDelay);
  co_await pause.async_wait(kTuple);
  if (!closed) {
    const uint64_t serial = next_serial++;
    Result<sandbox::NetworkNamespace> network = sandbox::NetworkNamespace::Make();
    Result<Made> made = Fail(Code::kInternal, "no network");
    if (network) made = co_await Create(serial, std::move(spec), *network);
    if (made) {
      ahead.push_front(std::move(*made));
      (void)co_await DropAhead(options.held);
    } else {
      spdlog::debug("no container was made ahead: {}", made.error().message);
      (void)co_await Forget(serial, 0);
    }
  }
  making_ahead = false;
  made_ahead.Set();
}

// All `but` the ones used last.
Awaitable<> BundleMaker::Impl::DropAhead(size_t but) {
  Result<> all;
  while (ahead.size() > but) {
    const Made made = std::move(ahead.back());
    ahead.pop_back();
    Result<> forgotten = co_await Forget(made.serial, made.process.pid());
    if (!forgotten) all = std::move(forgotten);
  }
  co_return all;
}

BundleMaker::BundleMaker(asio::any_io_executor executor, std::unique_ptr<BundleRuntime> runtime,
                         RuntimeHostOptions options)
    : impl_(std::make_shared<Impl>(executor)) {
  impl_->runtime = std::move(runtime);
  impl_->options = std::move(options);
}

BundleMaker::~BundleMaker() {
  impl_->closed = true;
  impl_->pause.cancel();
}

Awaitable<std::string> BundleMaker::Open() {
  const std::shared_ptr<Impl> impl = impl_;
  if (!impl->owners) {
    CO_TRY_ASSIGN(impl->owners,
                  sandbox::MakeMapNamespace({sandbox::kOwnerBase, 0, sandbox::kRangeSize}));
  }
  CO_TRY_ASSIGN(std::string name, co_await impl->runtime->Open());
  CO_TRY(MakeFolder(impl->options.folder / "containers", 0700));
  co_return name;
}

Awaitable<std::vector<RunningContainer>> BundleMaker::Survivors() {
  const std::shared_ptr<Impl> impl = impl_;
  std::vector<RunningContainer> survivors;
  for (const uint64_t serial : impl->Folders()) {
    impl->next_serial = std::max(impl->next_serial, serial + 1);
    const fs::path folder = impl->Folder(serial);
    const BundleNote note = ReadBundleNote(folder).value_or(BundleNote{});
    Result<UniqueFd> log = OpenBundleLog(folder);
    if (note.id.value > 0 && log && IsIn(note.pid, impl->NameOf(serial))) {
      Result<ContainerProcess> process = ContainerProcess::Open(note.pid);
      if (process) {
        impl->serials[note.id.value] = serial;
        survivors.push_back(
            {note.id, note.label, note.image, std::move(*process), std::move(*log)});
        continue;
      }
    }
    const Result<> forgotten = co_await impl->Forget(serial, note.pid);
    if (!forgotten) {
      spdlog::warn("container {} is left over: {}", impl->NameOf(serial),
                   forgotten.error().message);
    }
  }
  CO_TRY(co_await impl->RemoveUnknown());
  co_return survivors;
}

Awaitable<> BundleMaker::PrepareImage(Digest image) {
  std::error_code error;
  if (fs::is_directory(impl_->options.images / image.value / "rootfs", error)) {
    co_return Result<>{};
  }
  co_return Fail(Code::kNotFound, "there is no unpacked image " + image.value);
}

Awaitable<> BundleMaker::RemoveImage(Digest image) {
  const std::shared_ptr<Impl> impl = impl_;
  // What was made ahead of it would keep it.
  const auto first = std::stable_partition(
      impl->ahead.begin(), impl->ahead.end(),
      [&image](const Made& made) { return made.spec.image != image; });
  const auto others = static_cast<size_t>(std::distance(impl->ahead.begin(), first));
  Result<> dropped = co_await impl->DropAhead(others);
  co_return dropped;
}

Awaitable<sandbox::NetworkNamespace> BundleMaker::Hold(ContainerId /*id*/) {
  co_return sandbox::NetworkNamespace::Make();
}

Awaitable<RunningContainer> BundleMaker::Start(ContainerId id, SandboxSpec spec,
                                               const sandbox::NetworkNamespace& network,
                                               bool untouched) {
  const std::shared_ptr<Impl> impl = impl_;
  Made made;
  const auto same = [&spec](const Made& one) { return Same(one.spec, spec); };
  const auto found = std::find_if(impl->ahead.begin(), impl->ahead.end(), same);
  if (untouched && found != impl->ahead.end()) {
    made = std::move(*found);
    impl->ahead.erase(found);
    impl->serials[id.value] = made.serial;
  } else {
    const uint64_t serial = impl->next_serial++;
    impl->serials[id.value] = serial;
    CO_TRY_ASSIGN(made, co_await impl->Create(serial, spec, network));
  }
  const BundleNote note{id, spec.label, spec.image, made.process.pid()};
  CO_TRY(WriteBundleNote(impl->Folder(made.serial), note));
  const std::string name = impl->NameOf(made.serial);
  CO_TRY(co_await impl->runtime->Start(name));
  impl->AheadSoon(spec);
  RunningContainer running;
  running.id = id;
  running.label = std::move(spec.label);
  running.image = std::move(spec.image);
  running.process = std::move(made.process);
  running.log = std::move(made.log);
  co_return running;
}

Awaitable<int> BundleMaker::ExitStatus(ContainerId id, int pidfd) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto found = impl->serials.find(id.value);
  if (found == impl->serials.end()) co_return 255;
  const std::string name = impl->NameOf(found->second);
  Result<int> status = co_await impl->runtime->ExitStatus(name, pidfd);
  co_return status;
}

Awaitable<> BundleMaker::Remove(ContainerId id) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto found = impl->serials.find(id.value);
  if (found == impl->serials.end()) co_return Result<>{};
  const uint64_t serial = found->second;
  const pid_t pid = ReadBundleNote(impl->Folder(serial)).value_or(BundleNote{}).pid;
  CO_TRY(co_await impl->Forget(serial, pid));
  impl->serials.erase(id.value);
  co_return Result<>{};
}

Awaitable<> BundleMaker::Close() {
  const std::shared_ptr<Impl> impl = impl_;
  impl->closed = true;
  impl->pause.cancel();
  while (impl->making_ahead) co_await impl->made_ahead.Wait();
  Result<> dropped = co_await impl->DropAhead(0);
  co_return dropped;
}

}  // namespace hybridserve

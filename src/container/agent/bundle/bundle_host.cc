#include "container/agent/bundle/bundle_host.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "base/file.h"
#include "container/agent/bundle/bundle_folder.h"
#include "container/agent/bundle/runtime_spec.h"
#include "container/agent/container_process.h"
#include "container/event.h"
#include "sandbox/id_range.h"

namespace hybridserve {

namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxSandboxes = 1024;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

enum class State : uint8_t { kHeld, kStarting, kRunning, kEnding };

struct Entry {
  Entry(const asio::any_io_executor& executor, ContainerId own_id) : id(own_id), gone(executor) {}

  ContainerId id;
  State state = State::kHeld;
  bool doomed = false;    // To be destroyed once its start has ended.
  bool made = false;      // The runtime may know of it.
  bool cleaning = false;  // CleanUp is under way.
  std::string label;
  Digest image;
  sandbox::NetworkNamespace network;
  ContainerProcess process;
  UniqueFd log;  // The read end, kept for a server that starts again.
  Event gone;
};
using EntryPtr = std::shared_ptr<Entry>;

Error NoSuch(ContainerId id) {
  return {Code::kNotFound, "there is no sandbox " + std::to_string(id.value)};
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

struct BundleHost::Impl : std::enable_shared_from_this<BundleHost::Impl> {
  asio::any_io_executor executor;
  std::unique_ptr<BundleRuntime> runtime;
  RuntimeHostOptions options;
  std::map<uint64_t, EntryPtr> entries;
  std::function<void(const SandboxExit&)> on_exit;
  UniqueFd owners;  // A user namespace: the store's owners as users from 0 on.
  uint64_t next_id = 1;
  bool open = false;

  [[nodiscard]] std::string Prefix() const { return "hybridserve-" + options.node + "-"; }
  [[nodiscard]] std::string NameOf(ContainerId id) const {
    return Prefix() + std::to_string(id.value);
  }
  [[nodiscard]] fs::path Folder(ContainerId id) const {
    return options.folder / "containers" / std::to_string(id.value);
  }
  EntryPtr Find(ContainerId id) const;
  Awaitable<> AdoptAll();
  Awaitable<> AdoptOne(ContainerId id);
  Awaitable<UniqueFd> TryStart(EntryPtr entry, SandboxSpec spec);
  asio::awaitable<void> Watch(EntryPtr entry);
  asio::awaitable<void> WaitForEnd(const Entry& entry) const;
  Awaitable<> CleanUp(EntryPtr entry);
};

EntryPtr BundleHost::Impl::Find(ContainerId id) const {
  const auto found = entries.find(id.value);
  if (found == entries.end() || found->second->state == State::kEnding) return nullptr;
  return found->second;
}

// What an earlier agent left: those that run stay, everything else goes.
Awaitable<> BundleHost::Impl::AdoptAll() {
  const fs::path folder = options.folder / "containers";
  CO_TRY(MakeFolder(folder, 0700));
  std::error_code error;
  std::vector<ContainerId> left;
  for (const auto& one : fs::directory_iterator(folder, error)) {
    const std::string name = one.path().filename();
    ContainerId id;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), id.value);
    if (bad == std::errc() && end == name.data() + name.size()) left.push_back(id);
  }
  for (const ContainerId id : left) {
    next_id = std::max(next_id, id.value + 1);
    const Result<> adopted = co_await AdoptOne(id);
    if (!adopted) spdlog::warn("container {} is left over: {}", NameOf(id), adopted.error().message);
  }
  std::string prefix = Prefix();
  CO_TRY_ASSIGN(const std::vector<std::string> known, co_await runtime->List(std::move(prefix)));
  for (const std::string& name : known) {
    const bool ours = std::any_of(entries.begin(), entries.end(), [this, &name](const auto& one) {
      return NameOf(one.second->id) == name;
    });
    if (ours) continue;
    const Result<> deleted = co_await runtime->Delete(name);
    if (!deleted) spdlog::warn("container {} is left over: {}", name, deleted.error().message);
  }
  co_return Result<>{};
}

Awaitable<> BundleHost::Impl::AdoptOne(ContainerId id) {
  const auto entry = std::make_shared<Entry>(executor, id);
  const Result<BundleNote> note = ReadBundleNote(Folder(id));
  if (note && note->pid > 0 && IsIn(note->pid, NameOf(id))) {
    Result<ContainerProcess> process = ContainerProcess::Open(note->pid);
    if (process) entry->process = std::move(*process);
  }
  entry->made = true;
  entries.emplace(id.value, entry);
  Result<UniqueFd> log = OpenBundleLog(Folder(id));
  if (entry->process && log) {
    entry->label = note->label;
    entry->image = note->image;
    entry->log = std::move(*log);
    entry->state = State::kRunning;
    asio::co_spawn(executor, Watch(entry), asio::detached);
    co_return Result<>{};
  }
  entry->state = State::kEnding;
  Result<> cleaned = co_await CleanUp(entry);
  co_return cleaned;
}

Awaitable<UniqueFd> BundleHost::Impl::TryStart(EntryPtr entry, SandboxSpec spec) {
  if (spec.argv.empty()) co_return Fail(Code::kInvalidArgument, "no program was named");
  const fs::path folder = Folder(entry->id);
  const fs::path image = options.images / spec.image.value / "rootfs";
  CO_TRY(MakeBundleFolder(folder, spec, image, owners.get()));
  CO_TRY_ASSIGN(UniqueFd log, OpenBundleLog(folder));
  RuntimeSpecPlaces places;
  places.rootfs = folder / "rootfs";
  places.scratch = folder / "scratch";
  places.network =
      "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(entry->network.fd());
  places.cgroup = "/" + NameOf(entry->id);
  places.open_files = OpenFiles();
  places.swap_is_counted = SwapIsCounted();
  CO_TRY(WriteFileAtomically(folder / "config.json", MakeRuntimeSpec(spec, places), 0600));
  BundleNote note{spec.label, spec.image, 0};
  CO_TRY(WriteBundleNote(folder, note));
  const std::string name = NameOf(entry->id);
  Bundle bundle{name, folder, folder / "log"};
  entry->made = true;
  CO_TRY_ASSIGN(note.pid, co_await runtime->Create(std::move(bundle)));
  CO_TRY_ASSIGN(entry->process, ContainerProcess::Open(note.pid));
  CO_TRY(WriteBundleNote(folder, note));
  if (entry->doomed) co_return Fail(Code::kNotFound, "it was destroyed while it started");
  entry->label = spec.label;
  entry->image = spec.image;
  CO_TRY(co_await runtime->Start(name));
  entry->log.Reset(::fcntl(log.get(), F_DUPFD_CLOEXEC, 0));
  if (!entry->log) co_return FailErrno("keep a container's log");
  co_return log;
}

asio::awaitable<void> BundleHost::Impl::WaitForEnd(const Entry& entry) const {
  const int pidfd = ::fcntl(entry.process.pidfd(), F_DUPFD_CLOEXEC, 0);
  if (pidfd < 0) co_return;
  asio::posix::stream_descriptor watched(executor, pidfd);
  co_await watched.async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
}

// Until its first process ends.
asio::awaitable<void> BundleHost::Impl::Watch(EntryPtr entry) {
  const std::shared_ptr<Impl> self = shared_from_this();
  co_await WaitForEnd(*entry);
  if (entry->state == State::kEnding) co_return;
  entry->state = State::kEnding;
  SandboxExit exit;
  exit.id = entry->id;
  exit.out_of_memory = entry->process.OutOfMemory();
  const std::string name = NameOf(entry->id);
  const Result<int> status = co_await runtime->ExitStatus(name, entry->process.pidfd());
  exit.status = status.value_or(255);
  if (on_exit) on_exit(exit);
  const Result<> cleaned = co_await CleanUp(entry);
  if (!cleaned) spdlog::warn("container {} is left over: {}", name, cleaned.error().message);
}

// Kills what is left of it; the entry stays when something could not be removed, for another try.
Awaitable<> BundleHost::Impl::CleanUp(EntryPtr entry) {
  const std::shared_ptr<Impl> self = shared_from_this();
  const std::string name = NameOf(entry->id);
  entry->cleaning = true;
  if (entry->process) {
    entry->process.Kill();
    co_await WaitForEnd(*entry);
    // Reaps it, where it is this process's child.
    (void)co_await runtime->ExitStatus(name, entry->process.pidfd());
  }
  Result<> deleted;
  if (entry->made) deleted = co_await runtime->Delete(name);
  if (deleted) deleted = RemoveBundleFolder(Folder(entry->id));
  if (deleted) entries.erase(entry->id.value);
  entry->cleaning = false;
  entry->gone.Set();
  co_return deleted;
}

BundleHost::BundleHost(asio::any_io_executor executor, std::unique_ptr<BundleRuntime> runtime,
                       RuntimeHostOptions options)
    : impl_(std::make_shared<Impl>()) {
  impl_->executor = std::move(executor);
  impl_->runtime = std::move(runtime);
  impl_->options = std::move(options);
}

BundleHost::~BundleHost() { impl_->on_exit = nullptr; }

Awaitable<std::string> BundleHost::Open() {
  const std::shared_ptr<Impl> impl = impl_;
  if (!impl->owners) {
    CO_TRY_ASSIGN(impl->owners, sandbox::MakeMapNamespace(
                                    {sandbox::kOwnerBase, 0, sandbox::kRangeSize}));
  }
  CO_TRY_ASSIGN(std::string name, co_await impl->runtime->Open());
  CO_TRY(co_await impl->AdoptAll());
  impl->open = true;
  co_return name;
}

Awaitable<> BundleHost::PrepareImage(Digest image) {
  std::error_code error;
  if (fs::is_directory(impl_->options.images / image.value / "rootfs", error)) {
    co_return Result<>{};
  }
  co_return Fail(Code::kNotFound, "there is no unpacked image " + image.value);
}

Awaitable<> BundleHost::RemoveImage(Digest image) {
  for (const auto& [id, entry] : impl_->entries) {
    if (entry->image != image) continue;
    co_return Fail(Code::kConflict, "sandbox " + std::to_string(id) + " uses the image");
  }
  co_return Result<>{};
}

void BundleHost::OnExit(std::function<void(const SandboxExit&)> handler) {
  impl_->on_exit = std::move(handler);
}

Awaitable<ContainerId> BundleHost::CreateSandbox() {
  const std::shared_ptr<Impl> impl = impl_;
  if (!impl->open) co_return Fail(Code::kUnavailable, "the container runtime is not there yet");
  if (impl->entries.size() >= kMaxSandboxes) {
    co_return Fail(Code::kUnavailable,
                   "there are " + std::to_string(kMaxSandboxes) + " sandboxes already");
  }
  const auto entry = std::make_shared<Entry>(impl->executor, ContainerId{impl->next_id++});
  CO_TRY_ASSIGN(entry->network, sandbox::NetworkNamespace::Make());
  impl->entries.emplace(entry->id.value, entry);
  co_return entry->id;
}

Awaitable<UniqueFd> BundleHost::StartSandbox(ContainerId id, SandboxSpec spec) {
  const std::shared_ptr<Impl> impl = impl_;
  const EntryPtr entry = impl->Find(id);
  if (!entry) co_return tl::unexpected(NoSuch(id));
  if (entry->state != State::kHeld) {
    co_return Fail(Code::kConflict, "sandbox " + std::to_string(id.value) + " was started already");
  }
  entry->state = State::kStarting;
  Result<UniqueFd> log = co_await impl->TryStart(entry, std::move(spec));
  if (log && entry->doomed) log = tl::unexpected(NoSuch(id));
  if (log) {
    entry->state = State::kRunning;
    asio::co_spawn(impl->executor, impl->Watch(entry), asio::detached);
    co_return log;
  }
  entry->state = State::kEnding;
  const Result<> cleaned = co_await impl->CleanUp(entry);
  if (!cleaned) spdlog::warn("{} is left over: {}", impl->NameOf(id), cleaned.error().message);
  co_return log;
}

Awaitable<std::vector<UniqueFd>> BundleHost::MakeSockets(ContainerId id, uint32_t count) {
  const EntryPtr entry = impl_->Find(id);
  if (!entry) co_return tl::unexpected(NoSuch(id));
  if (entry->process) co_return entry->process.MakeSockets(count);
  co_return entry->network.MakeSockets(count);
}

Awaitable<UniqueFd> BundleHost::MakeListener(ContainerId id, uint16_t port) {
  const EntryPtr entry = impl_->Find(id);
  if (!entry) co_return tl::unexpected(NoSuch(id));
  if (entry->process) co_return entry->process.MakeListener(port);
  co_return entry->network.MakeListener(port);
}

Awaitable<> BundleHost::FreezeSandbox(ContainerId id) {
  const EntryPtr entry = impl_->Find(id);
  if (!entry) co_return tl::unexpected(NoSuch(id));
  if (entry->state != State::kRunning) {
    co_return Fail(Code::kConflict, "sandbox " + std::to_string(id.value) + " does not run");
  }
  co_return entry->process.Freeze();
}

Awaitable<> BundleHost::ThawSandbox(ContainerId id) {
  const EntryPtr entry = impl_->Find(id);
  if (!entry) co_return tl::unexpected(NoSuch(id));
  co_return entry->process ? entry->process.Thaw() : Result<>();
}

Awaitable<SandboxUsage> BundleHost::Stats(ContainerId id) {
  const EntryPtr entry = impl_->Find(id);
  if (!entry) co_return tl::unexpected(NoSuch(id));
  if (!entry->process) co_return SandboxUsage{};
  co_return entry->process.Usage();
}

Awaitable<> BundleHost::DestroySandbox(ContainerId id) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto found = impl->entries.find(id.value);
  if (found == impl->entries.end()) co_return Result<>{};
  const EntryPtr entry = found->second;
  if (entry->state == State::kStarting) entry->doomed = true;
  // A start ends it by itself, and so does the end of its program.
  while (entry->state == State::kStarting || entry->cleaning) co_await entry->gone.Wait();
  if (!impl->entries.contains(id.value)) co_return Result<>{};
  entry->state = State::kEnding;
  Result<> cleaned = co_await impl->CleanUp(entry);
  co_return cleaned;
}

Awaitable<std::vector<AdoptedSandbox>> BundleHost::List() {
  std::vector<AdoptedSandbox> all;
  for (const auto& [id, entry] : impl_->entries) {
    if (entry->state != State::kRunning) continue;
    AdoptedSandbox one;
    one.id = entry->id;
    one.label = entry->label;
    one.log.Reset(::fcntl(entry->log.get(), F_DUPFD_CLOEXEC, 0));
    all.push_back(std::move(one));
  }
  co_return all;
}

}  // namespace hybridserve

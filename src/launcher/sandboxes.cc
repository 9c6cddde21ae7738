#include "launcher/sandboxes.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "ipc/seqpacket.h"
#include "sandbox/page_out.h"

namespace hybridserve::launcher {
namespace {

constexpr size_t kMaxSandboxes = 1024;
// After a sandbox was taken its function starts: the refill stays out of its way.
constexpr std::chrono::milliseconds kRefillDelay{50};
// Swap is slow and wears out: what is asked for every few seconds stays in memory.
constexpr std::chrono::seconds kPageOutAfter{10};

sandbox::ContainerProgram ProgramOf(const SandboxSpec& spec) {
  sandbox::ContainerProgram program;
  program.host_name = spec.name;
  program.argv = spec.argv;
  program.environment = spec.environment;
  program.working_folder = spec.working_folder;
  program.uid = spec.uid;
  program.gid = spec.gid;
  program.writable_root = spec.writable_root;
  program.disk_bytes = spec.disk_bytes;
  return program;
}

Error NoSuch(ContainerId id) {
  return {Code::kNotFound, "there is no sandbox " + std::to_string(id.value)};
}

}  // namespace

Sandboxes::Sandboxes(EventLoop& loop, Host& host, Workers& workers, std::filesystem::path images,
                     uint32_t held, OnExit on_exit)
    : loop_(loop),
      host_(host),
      workers_(workers),
      heater_(loop, host.cgroups.get()),
      images_(std::move(images)),
      held_(host.runtime.kind == ContainerRuntimeKind::kNative ? held : 0),
      on_exit_(std::move(on_exit)) {
  Refill();
}

Sandboxes::~Sandboxes() {
  loop_.Cancel(refill_);
  for (auto& [id, entry] : entries_) {
    loop_.Cancel(entry.page_out);
    loop_.Forget(entry.container->control_fd());
    loop_.Forget(entry.container->child().pidfd.get());
    entry.container->Kill();
  }
}

Result<uint64_t> Sandboxes::Make() {
  if (host_.runtime.kind != ContainerRuntimeKind::kNative) {
    return Fail(Code::kUnsupported, host_.abilities.containers
                                        ? "this node's containers are made by " +
                                              host_.abilities.runtime + ": ask its agent"
                                        : host_.abilities.why_not);
  }
  if (entries_.size() >= kMaxSandboxes) return Fail(Code::kUnavailable, "too many sandboxes");
  const uint64_t id = next_id_++;
  TRY_ASSIGN(auto cgroup, host_.cgroups->Create("sandbox-" + std::to_string(id)));
  TRY_ASSIGN(sandbox::IdRange range, ranges_.Take());
  auto created = sandbox::Container::Create(std::move(cgroup), range, host_.container_filter);
  if (!created) {
    ranges_.Give(std::move(range));
    return tl::unexpected(std::move(created.error()));
  }
  std::unique_ptr<sandbox::Container> container = std::move(*created);
  TRY(loop_.Watch(container->control_fd(), EventLoop::Interest::kRead,
                  [this, id] { OnControl(id); }));
  TRY(loop_.Watch(container->child().pidfd.get(), EventLoop::Interest::kRead,
                  [this, id] { OnEnd(id); }));
  entries_[id].container = std::move(container);
  return id;
}

void Sandboxes::Create(std::function<void(Result<ContainerId>)> done) {
  if (!ready_.empty()) {
    const uint64_t id = ready_.front();
    ready_.pop_front();
    entries_[id].on_created = std::move(done);
    Give(id, entries_[id]);
    return RefillSoon();
  }
  const auto made = Make();
  if (!made) return done(tl::unexpected(made.error()));
  entries_[*made].on_created = std::move(done);
  RefillSoon();
  heater_.Heat();
}

void Sandboxes::Give(uint64_t id, Entry& entry) {
  entry.given = true;
  if (const auto done = std::exchange(entry.on_created, nullptr)) done(ContainerId{id});
}

void Sandboxes::Start(ContainerId id, SandboxSpec spec,
                      std::function<void(Result<UniqueFd>)> done) {
  const auto found = Find(id);
  if (!found) return done(tl::unexpected(found.error()));
  Entry& entry = **found;
  const bool held = entry.container->state() == sandbox::Container::State::kHeld;
  const auto begun = BeginStart(entry, spec);
  if (begun) {
    entry.on_started = std::move(done);
    return heater_.Heat();
  }
  if (held) entry.container->Kill();
  done(tl::unexpected(begun.error()));
}

Result<> Sandboxes::BeginStart(Entry& entry, const SandboxSpec& spec) {
  const std::filesystem::path folder = images_ / spec.image.value;
  std::error_code error;
  if (!std::filesystem::exists(folder / "config.json", error)) {
    return Fail(Code::kNotFound, "the image " + spec.image.value + " is not in the store");
  }
  TRY_ASSIGN(const UniqueFd image, OpenFile(folder / "rootfs", O_PATH | O_DIRECTORY | O_NOFOLLOW));
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return FailErrno("make a pipe");
  UniqueFd read_end(fds[0]);
  const UniqueFd write_end(fds[1]);
  if (::fcntl(read_end.get(), F_SETFL, O_NONBLOCK) != 0) return FailErrno("set O_NONBLOCK");
  const sandbox::CgroupLimits limits{.memory_bytes = spec.memory_bytes,
                                     .pids = spec.pids,
                                     .cpu_cores = spec.cpu_cores,
                                     .cpu_weight_percent = kBootWeightPercent};
  TRY(entry.container->Start(ProgramOf(spec), limits, image.get(), write_end.get()));
  entry.label = spec.label;
  entry.image = spec.image;
  entry.log = std::move(read_end);
  return {};
}

void Sandboxes::OnControl(uint64_t id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  const auto before = entry.container->state();
  const int control = entry.container->control_fd();
  // The socket closes inside when the program runs or the set-up failed.
  if (entry.container->OnControl(); entry.container->control_fd() < 0) loop_.Forget(control);
  const auto state = entry.container->state();
  if (state == before) return;
  using State = sandbox::Container::State;
  if (state == State::kHeld && entry.on_created) {
    Give(id, entry);
  } else if (state == State::kHeld) {
    --preparing_;
    ready_.push_back(id);
    Refill();
  } else if (state == State::kRunning) {
    entry.running = true;
    UniqueFd log(::fcntl(entry.log.get(), F_DUPFD_CLOEXEC, 3));
    if (const auto done = std::exchange(entry.on_started, nullptr)) done(std::move(log));
  } else if (state == State::kFailed) {
    entry.container->Kill();  // OnEnd goes on from here.
  }
}

// The first process has ended: by itself, killed, or because its set-up failed.
void Sandboxes::OnEnd(uint64_t id) {
  Entry& entry = entries_[id];
  // What it said last may still be unread: at most "launching", a failure and the closing.
  for (int i = 0; i < 4 && entry.container->control_fd() >= 0; ++i) OnControl(id);
  loop_.Forget(entry.container->control_fd());
  loop_.Forget(entry.container->child().pidfd.get());
  const bool out_of_memory = entry.container->cgroup().OomKills() > 0;
  const int status = entry.container->Reap();
  const bool waited_for = entry.on_created || entry.on_started || !entry.on_destroyed.empty();
  if (entry.running && !waited_for) on_exit_({ContainerId{id}, status, out_of_memory});
  Finish(id);
}

void Sandboxes::Finish(uint64_t id) {
  auto node = entries_.extract(id);
  Entry& entry = node.mapped();
  loop_.Cancel(entry.page_out);
  if (const auto ready = std::find(ready_.begin(), ready_.end(), id); ready != ready_.end()) {
    ready_.erase(ready);
  } else if (!entry.given && !entry.on_created) {
    --preparing_;
  }
  const bool failed = entry.container->state() == sandbox::Container::State::kFailed;
  Error error = failed ? entry.container->error()
                       : Error{Code::kUnavailable, "the sandbox was destroyed while it started"};
  if (failed && !entry.given && !entry.on_created) {
    spdlog::warn("a held sandbox could not be made: {}", error.message);
    held_ = 0;  // Trying again and again would only burn CPU; requests still try.
  }
  ranges_.Give(entry.container->TakeRange());
  entry.container.reset();
  if (entry.on_created) entry.on_created(tl::unexpected(error));
  if (entry.on_started) entry.on_started(tl::unexpected(error));
  for (const auto& done : entry.on_destroyed) done({});
}

Result<std::vector<UniqueFd>> Sandboxes::MakeSockets(ContainerId id, uint32_t count) {
  TRY_ASSIGN(Entry* const entry, Find(id));
  return entry->container->MakeSockets(count);
}

Result<UniqueFd> Sandboxes::MakeListener(ContainerId id, uint16_t port) {
  TRY_ASSIGN(Entry* const entry, Find(id));
  return entry->container->MakeListener(port);
}

Result<> Sandboxes::Freeze(ContainerId id) {
  TRY_ASSIGN(Entry* const entry, Find(id));
  if (!entry->running) {
    return Fail(Code::kConflict,
                "the sandbox " + std::to_string(id.value) + " does not run: it cannot be frozen");
  }
  sandbox::Cgroup& cgroup = entry->container->cgroup();
  Result<> frozen = cgroup.Freeze();
  if (!frozen) (void)cgroup.Thaw();
  loop_.Cancel(entry->page_out);
  if (frozen && sandbox::HasSwap()) {
    entry->page_out = loop_.After(kPageOutAfter, [this, id] { PageOut(id.value); });
  }
  return frozen;
}

void Sandboxes::PageOut(uint64_t id) {
  const auto page_out = [this, id]() -> Result<std::string> {
    TRY_ASSIGN(Entry* const entry, Find(ContainerId{id}));
    TRY(entry->container->cgroup().PageOut());
    return std::string();
  };
  workers_.Run(page_out, [id](const Result<std::string>& done) {
    if (!done) spdlog::info("sandbox {} stays in memory: {}", id, done.error().message);
  });
}

Result<> Sandboxes::Thaw(ContainerId id) {
  TRY_ASSIGN(Entry* const entry, Find(id));
  loop_.Cancel(entry->page_out);
  return entry->running ? entry->container->cgroup().Thaw() : Result<>();
}

Result<> Sandboxes::Settle(ContainerId id) {
  TRY_ASSIGN(Entry* const entry, Find(id));
  return entry->container->cgroup().SetWeight(kSettledWeightPercent);
}

Result<SandboxUsage> Sandboxes::Stats(ContainerId id) {
  TRY_ASSIGN(Entry* const entry, Find(id));
  TRY_ASSIGN(const sandbox::CgroupUsage usage, entry->container->cgroup().Usage());
  return SandboxUsage{usage.memory_bytes, usage.peak_memory_bytes, usage.cpu_time, usage.processes};
}

void Sandboxes::Destroy(ContainerId id, std::function<void(Result<>)> done) {
  const auto found = Find(id);
  if (!found) return done({});
  (*found)->on_destroyed.push_back(std::move(done));
  (*found)->container->Kill();
}

std::vector<AdoptedSandbox> Sandboxes::List(ContainerId after) const {
  std::vector<AdoptedSandbox> page;
  for (auto entry = entries_.upper_bound(after.value); entry != entries_.end(); ++entry) {
    if (page.size() == ipc::kMaxFds) break;
    const Entry& one = entry->second;
    if (!one.given || !one.on_destroyed.empty()) continue;
    AdoptedSandbox adopted;
    adopted.id = ContainerId{entry->first};
    adopted.label = one.label;
    if (one.log) adopted.log = UniqueFd(::fcntl(one.log.get(), F_DUPFD_CLOEXEC, 3));
    page.push_back(std::move(adopted));
  }
  return page;
}

bool Sandboxes::UsesImage(const Digest& image) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&image](const auto& entry) { return entry.second.image == image; });
}

bool Sandboxes::Owns(pid_t pid) const {
  if (heater_.Owns(pid)) return true;
  return std::any_of(entries_.begin(), entries_.end(), [pid](const auto& entry) {
    return entry.second.container->child().pid == pid;
  });
}

void Sandboxes::RefillSoon() {
  loop_.Cancel(refill_);
  refill_ = loop_.After(kRefillDelay, [this] { Refill(); });
}

// One at a time: the next begins when this one is held.
void Sandboxes::Refill() {
  if (preparing_ > 0 || ready_.size() >= held_) return;
  if (const auto made = Make(); !made) {
    spdlog::warn("cannot prepare a sandbox: {}", made.error().message);
  } else {
    ++preparing_;
  }
}

Result<Sandboxes::Entry*> Sandboxes::Find(ContainerId id) {
  const auto found = entries_.find(id.value);
  if (found == entries_.end() || !found->second.given) return tl::unexpected(NoSuch(id));
  return &found->second;
}

}  // namespace hybridserve::launcher

#include "launcher/executors.h"

#include <sys/socket.h>

#include <algorithm>

#include "base/log.h"
#include "function/engines.h"
#include "ipc/seqpacket.h"
#include "launcher/programs.h"

namespace hybridserve::launcher {
namespace {

constexpr uint32_t kExtraPids = 64;  // Threads of the runtime beside those that run guests.
constexpr int kDataBufferBytes = 4 << 20;
// Of an executor's memory, what its guests' /tmp may take together.
constexpr uint64_t kScratchShare = 4;
constexpr uint64_t kScratchBytesWithoutLimit = 256ull << 20;

// Room for many invocations in flight. Beyond the system's limit only root may go.
Result<std::pair<UniqueFd, UniqueFd>> MakeDataPair() {
  TRY_ASSIGN(auto pair, ipc::MakePair(kDataBufferBytes));
  for (const int fd : {pair.first.get(), pair.second.get()}) {
    (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kDataBufferBytes, sizeof(kDataBufferBytes));
  }
  return pair;
}

/// What an instance may leave resident for the next one: all of them together a share of the
/// executor's memory, since an idle executor holds it, too.
uint64_t KeepResidentBytes(const ExecutorSpec& spec) {
  constexpr uint64_t kShare = 8;
  constexpr uint64_t kLeast = 1ull << 20;
  constexpr uint64_t kMost = 16ull << 20;
  return std::clamp(spec.memory_bytes / kShare / spec.threads, kLeast, kMost);
}

uint64_t ScratchBytes(uint64_t memory_bytes) {
  return memory_bytes == 0 ? kScratchBytesWithoutLimit : memory_bytes / kScratchShare;
}

}  // namespace

Executors::~Executors() { KillAll(); }

Result<StartedExecutor> Executors::Start(const ExecutorSpec& spec) {
  if (entries_.size() >= kMaxExecutors) return Fail(Code::kUnavailable, "too many executors");
  const uint64_t id = next_id_++;
  const std::string name = "executor-" + std::to_string(id);
  const std::string program = ExecutorProgram(spec.engine);
  const uint32_t uid = FreeUid();
  sandbox::JailSpec jail = BaseJail(host_, uid, 1);
  if (host_.root) jail.groups = {0, kExecutorUid, 1};
  TRY(SetProgram(jail, host_, program));
  TRY_ASSIGN(auto data, MakeDataPair());
  TRY_ASSIGN(auto control, ipc::MakePair());
  TRY_ASSIGN(auto output, MakeOutputPipe());
  Entry entry;
  entry.uid = uid;
  if (host_.cgroups) {
    TRY_ASSIGN(entry.cgroup, host_.cgroups->Create(name));
    TRY(entry.cgroup->SetLimits(
        {.memory_bytes = spec.memory_bytes, .pids = spec.threads + kExtraPids}));
  }
  jail.host_name = "executor";
  jail.argv = {program,           "serve",
               "--compiler",      spec.compiler,
               "--threads",       std::to_string(spec.threads),
               "--keep-resident", std::to_string(KeepResidentBytes(spec))};
  jail.fds = {data.second.get(), control.second.get()};
  if (jail.isolation == sandbox::Isolation::kNamespaces) {
    jail.scratch_bytes = ScratchBytes(spec.memory_bytes);
    jail.argv.emplace_back("--scratch");
  }
  jail.output = output.second.get();
  jail.cgroup = entry.cgroup.get();
  jail.limits.open_files = 65536;
  TRY_ASSIGN(entry.child, sandbox::StartJailed(jail));
  entry.log = std::make_unique<LineLog>(loop_, std::move(output.first), name);
  TRY(loop_.Watch(entry.child.pidfd.get(), EventLoop::Interest::kRead, [this, id] { OnEnd(id); }));
  spdlog::debug("{} ({} {}, domain '{}') is process {}", name, program, spec.compiler, spec.domain,
                entry.child.pid);
  entries_.emplace(id, std::move(entry));
  StartedExecutor started;
  started.id = ExecutorId{id};
  started.pid = entries_.at(id).child.pid;
  started.data = std::move(data.first);
  started.control = std::move(control.first);
  return started;
}

// The lowest that none has: there are as many as executors.
uint32_t Executors::FreeUid() const {
  uint32_t uid = kFirstExecutorUid;
  const auto taken = [&uid](const auto& entry) { return entry.second.uid == uid; };
  while (std::any_of(entries_.begin(), entries_.end(), taken)) ++uid;
  return uid;
}

Result<uint32_t> Executors::UserOf(ExecutorId id) const {
  const auto found = entries_.find(id.value);
  if (found != entries_.end()) return found->second.uid;
  return Fail(Code::kNotFound, "there is no executor " + std::to_string(id.value));
}

void Executors::OnEnd(uint64_t id) {
  auto node = entries_.extract(id);
  Entry& entry = node.mapped();
  loop_.Forget(entry.child.pidfd.get());
  const int status = sandbox::Reap(entry.child);
  on_exit_(ExecutorId{id}, status);
  entry.log->Flush();
  const bool out_of_memory = entry.cgroup && entry.cgroup->OomKills() > 0;
  spdlog::warn("executor-{} ended with status {}{}", id, status,
               out_of_memory ? ": it was out of memory" : "");
}

void Executors::Kill(ExecutorId id) {
  const auto found = entries_.find(id.value);
  if (found != entries_.end()) sandbox::Kill(found->second.child);
}

void Executors::KillAll() {
  for (auto& [id, entry] : entries_) sandbox::Kill(entry.child);
  for (auto& [id, entry] : entries_) {
    loop_.Forget(entry.child.pidfd.get());
    sandbox::Reap(entry.child);
  }
  entries_.clear();
}

bool Executors::Owns(pid_t pid) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [pid](const auto& entry) { return entry.second.child.pid == pid; });
}

}  // namespace hybridserve::launcher

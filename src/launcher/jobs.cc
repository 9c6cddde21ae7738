#include "launcher/jobs.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "launcher/programs.h"
#include "sandbox/id_range.h"
#include "sandbox/jail_layout.h"

namespace hybridserve::launcher {
namespace {

constexpr size_t kMaxRunning = 4;
constexpr size_t kMaxWaiting = 64;
constexpr size_t kMaxOutputBytes = 64 * 1024;
constexpr uint32_t kPids = 256;
constexpr uint64_t kScratchBytes = uint64_t{512} << 20;  // For a compiler's own files.
constexpr uint64_t kMaxFileBytes = uint64_t{16} << 30;

}  // namespace

Jobs::~Jobs() { Stop(); }

void Jobs::Run(JobSpec spec, JobKind kind, std::vector<UniqueFd> fds, Done done) {
  if (waiting_.size() >= kMaxWaiting) {
    return done(Fail(Code::kUnavailable, "too many compiles and unpacks wait already; try again"));
  }
  waiting_.push_back({std::move(spec), kind, std::move(fds), std::move(done)});
  StartNext();
}

void Jobs::StartNext() {
  while (!waiting_.empty() && running_.size() < kMaxRunning) {
    Waiting job = std::move(waiting_.front());
    waiting_.pop_front();
    const uint64_t id = next_id_++;
    auto launched = Launch(id, job);
    if (!launched) {
      job.done(tl::unexpected(launched.error()));
      continue;
    }
    Running& running = running_.emplace(id, std::move(*launched)).first->second;
    running.done = std::move(job.done);
    running.deadline = loop_.After(job.spec.timeout, [this, id] { OnDeadline(id); });
    (void)loop_.Watch(running.output.get(), EventLoop::Interest::kRead,
                      [this, id] { ReadOutput(running_.at(id)); });
    (void)loop_.Watch(running.child.pidfd.get(), EventLoop::Interest::kRead,
                      [this, id] { OnEnd(id); });
  }
}

Result<Jobs::Running> Jobs::Launch(uint64_t id, const Waiting& job) {
  const bool unpack = job.kind == JobKind::kUnpack;
  sandbox::JailSpec jail = unpack ? BaseJail(host_, sandbox::kOwnerBase, sandbox::kRangeSize)
                                  : BaseJail(host_, kJobUid, 1);
  TRY(SetProgram(jail, host_, job.spec.program));
  TRY_ASSIGN(auto output, MakeOutputPipe());
  Running running;
  if (host_.cgroups) {
    TRY_ASSIGN(running.cgroup, host_.cgroups->Create("job-" + std::to_string(id)));
    TRY(running.cgroup->SetLimits({.memory_bytes = job.spec.memory_bytes,
                                   .pids = kPids,
                                   .cpu_weight_percent = job.spec.cpu_weight_percent}));
  }
  jail.host_name = "job";
  jail.argv = job.spec.arguments;
  jail.argv.insert(jail.argv.begin(), job.spec.program);
  for (const UniqueFd& fd : job.fds) jail.fds.push_back(fd.get());
  const bool compiles = !job.spec.arguments.empty() && job.spec.arguments.front() == "compile";
  if (compiles && jail.isolation == sandbox::Isolation::kNamespaces) {
    jail.scratch_bytes = kScratchBytes;
    jail.argv.emplace_back("--scratch");
  }
  jail.output = output.second.get();
  jail.cgroup = running.cgroup.get();
  jail.capabilities = unpack ? sandbox::kUnpackCapabilities : 0;
  jail.limits.file_bytes = kMaxFileBytes;
  TRY_ASSIGN(running.child, sandbox::StartJailed(jail));
  running.output = std::move(output.first);
  return running;
}

void Jobs::ReadOutput(Running& running) {
  std::array<char, 16 * 1024> buffer{};
  ssize_t got = 0;
  while ((got = ::read(running.output.get(), buffer.data(), buffer.size())) > 0) {
    std::string& output = running.result.output;
    const size_t room = kMaxOutputBytes - output.size();
    output.append(buffer.data(), std::min(room, static_cast<size_t>(got)));
  }
  // At its end, or nothing there now; after the end there is nothing left to watch.
  if (got == 0) loop_.Forget(running.output.get());
}

void Jobs::OnDeadline(uint64_t id) {
  Running& running = running_.at(id);
  running.result.timed_out = true;
  sandbox::Kill(running.child);
}

void Jobs::OnEnd(uint64_t id) {
  auto node = running_.extract(id);
  Running& running = node.mapped();
  loop_.Cancel(running.deadline);
  loop_.Forget(running.child.pidfd.get());
  running.result.exit_status = sandbox::Reap(running.child);
  ReadOutput(running);
  loop_.Forget(running.output.get());
  running.result.out_of_memory = running.cgroup && running.cgroup->OomKills() > 0;
  running.cgroup.reset();
  running.done(std::move(running.result));
  StartNext();
}

void Jobs::KillAll() {
  const auto waiting = std::exchange(waiting_, {});
  const auto running = Stop();
  for (const auto& job : waiting) job.done(Fail(Code::kCancelled, "the server is gone"));
  for (const auto& [id, job] : running) job.done(Fail(Code::kCancelled, "the server is gone"));
}

std::map<uint64_t, Jobs::Running> Jobs::Stop() {
  auto stopped = std::exchange(running_, {});
  for (auto& [id, running] : stopped) sandbox::Kill(running.child);
  for (auto& [id, running] : stopped) {
    loop_.Cancel(running.deadline);
    loop_.Forget(running.output.get());
    loop_.Forget(running.child.pidfd.get());
    sandbox::Reap(running.child);
    running.cgroup.reset();
  }
  return stopped;
}

bool Jobs::Owns(pid_t pid) const {
  return std::any_of(running_.begin(), running_.end(),
                     [pid](const auto& entry) { return entry.second.child.pid == pid; });
}

}  // namespace hybridserve::launcher

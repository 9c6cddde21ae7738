#include "launcher/worker.h"

#include "ipc/seqpacket.h"
#include "launcher/protocol.h"

namespace hybridserve::launcher {
namespace {

int WorkInChild(const Workers::Work& work, int answer) {
  if (!sandbox::DieWithParent(answer)) return 1;
  const Result<std::string> result = work();
  ipc::Writer out;
  PutStatus(out, result ? Result<>() : tl::unexpected(result.error()));
  out.PutString(result ? *result : std::string());
  return ipc::Send(answer, out.bytes(), {}, ipc::Wait::kBlock) ? 0 : 1;
}

Result<std::string> ReadAnswer(int answer) {
  std::string buffer(ipc::kMaxDatagramBytes, '\0');
  TRY_ASSIGN(const auto received, ipc::Receive(answer, buffer, ipc::Wait::kDont));
  if (received.size == 0) return Fail(Code::kInternal, "a worker of the launcher died");
  ipc::Reader in(std::string_view(buffer).substr(0, received.size));
  TRY(GetStatus(in));
  return std::string(in.GetString());
}

}  // namespace

Workers::~Workers() {
  for (auto& [pid, running] : running_) {
    loop_.Forget(running.answer.get());
    sandbox::Kill(running.child);
    sandbox::Reap(running.child);
  }
}

void Workers::Run(Work work, Done done) {
  auto sockets = ipc::MakePair();
  if (!sockets) return done(tl::unexpected(sockets.error()));
  const int answer = sockets->second.get();
  const int other = sockets->first.get();
  auto child = sandbox::Clone({}, [&work, answer, other] {
    ::close(other);
    return WorkInChild(work, answer);
  });
  if (!child) return done(tl::unexpected(child.error()));
  const pid_t pid = child->pid;
  const auto watched =
      loop_.Watch(other, EventLoop::Interest::kRead, [this, pid] { OnAnswer(pid); });
  running_[pid] = {std::move(*child), std::move(sockets->first), std::move(done)};
  if (!watched) OnAnswer(pid);
}

void Workers::OnAnswer(pid_t pid) {
  auto node = running_.extract(pid);
  Running& running = node.mapped();
  loop_.Forget(running.answer.get());
  Result<std::string> result = ReadAnswer(running.answer.get());
  sandbox::Kill(running.child);
  sandbox::Reap(running.child);
  running.done(std::move(result));
}

}  // namespace hybridserve::launcher

#include "sandbox/container.h"

#include <linux/sched.h>
#include <sched.h>

#include <array>
#include <string>

#include "base/log.h"
#include "ipc/seqpacket.h"
#include "ipc/wire.h"
#include "sandbox/container_init.h"
#include "sandbox/mounts.h"

namespace hybridserve::sandbox {
namespace {

constexpr uint32_t kWaitingPids = 8;  // Of a held sandbox: one process waits in it.
constexpr uint64_t kWaitingMemoryBytes = 64u << 20;
constexpr uint64_t kReadOnly = 1;  // MOUNT_ATTR_RDONLY

Error NoNetworkYet() { return {Code::kConflict, "the sandbox has no network yet"}; }

}  // namespace

Result<std::unique_ptr<Container>> Container::Create(std::unique_ptr<Cgroup> cgroup, IdRange& range,
                                                     const BpfProgram& filter) {
  std::unique_ptr<Container> container(new Container(std::move(cgroup), std::move(range)));
  if (auto begun = container->Begin(filter); !begun) {
    range = container->TakeRange();
    return tl::unexpected(std::move(begun.error()));
  }
  return container;
}

Result<> Container::Begin(const BpfProgram& filter) {
  Cgroup& group = *cgroup_;
  TRY(group.SetLimits({.memory_bytes = kWaitingMemoryBytes, .pids = kWaitingPids}));
  TRY_ASSIGN(auto sockets, ipc::MakePair());
  const std::vector<int> join = group.join_fds();
  const InitContext context{sockets.second.get(), join, &filter};
  TRY_ASSIGN(child_, Clone({.namespaces = CLONE_NEWUSER | CLONE_NEWPID, .cgroup = group.clone_fd()},
                           [&context] { return RunContainerInit(context); }));
  const IdMapping ids{0, range_.base, kRangeSize};
  TRY(MapIds(child_.pid, {&ids, 1}, {&ids, 1}, SetGroups::kAllow));
  control_ = std::move(sockets.first);
  return ipc::Send(control_.get(), "go", {}, ipc::Wait::kDont);
}

Container::~Container() {
  Kill();
  Reap();
  if (auto removed = cgroup_->Remove(); !removed) {
    spdlog::warn("{}", removed.error().message);
  }
}

void Container::Fail(Error error) {
  state_ = State::kFailed;
  error_ = std::move(error);
  control_.Reset();
}

void Container::OnControl() {
  std::string buffer(ipc::kMaxDatagramBytes, '\0');
  auto received = ipc::Receive(control_.get(), buffer, ipc::Wait::kDont);
  if (!received) {
    if (received.error().code != Code::kUnavailable) Fail(received.error());
    return;
  }
  if (received->size == 0) {
    // The other end closes by exec, or by dying before it.
    if (state_ == State::kStarting && launching_) {
      state_ = State::kRunning;
      control_.Reset();
    } else {
      Fail({Code::kInternal, "the sandbox's first process ended while it was being set up"});
    }
    return;
  }
  ipc::Reader in(std::string_view(buffer).substr(0, received->size));
  const auto event = in.Get<ContainerEvent>();
  if (event == ContainerEvent::kFailed) {
    const auto code = static_cast<Code>(std::min<uint8_t>(in.Get<uint8_t>(), 13));
    Fail({code, std::string(in.GetString())});
  } else if (event == ContainerEvent::kHeld && state_ == State::kPreparing) {
    auto network = NetworkNamespace::Of(child_.pid);
    if (!network) return Fail(network.error());
    network_ = std::move(*network);
    state_ = State::kHeld;
  } else if (event == ContainerEvent::kLaunching && state_ == State::kStarting) {
    launching_ = true;
  } else {
    Fail({Code::kInternal, "the sandbox's first process sent nonsense"});
  }
}

Result<> Container::Start(const ContainerProgram& program, const CgroupLimits& limits, int image,
                          int log) {
  if (state_ != State::kHeld) {
    return hybridserve::Fail(Code::kConflict, "the sandbox is not held: it cannot be started");
  }
  TRY(cgroup_->SetLimits(limits));
  TRY_ASSIGN(const UniqueFd tree, CloneTree(image, range_.from_owner.get(), kReadOnly));
  const std::array<int, 2> fds{tree.get(), log};
  TRY(ipc::Send(control_.get(), EncodeProgram(program), fds, ipc::Wait::kDont));
  state_ = State::kStarting;
  return {};
}

Result<std::vector<UniqueFd>> Container::MakeSockets(uint32_t count) const {
  if (!network_) return tl::unexpected(NoNetworkYet());
  return network_.MakeSockets(count);
}

Result<UniqueFd> Container::MakeListener(uint16_t port) const {
  if (!network_) return tl::unexpected(NoNetworkYet());
  return network_.MakeListener(port);
}

void Container::Kill() {
  if (reaped_ || !child_) return;
  // The end of PID 1 ends every process of its namespace; in a frozen v1 group it needs the thaw.
  sandbox::Kill(child_);
  cgroup_->KillAll();
}

int Container::Reap() {
  if (reaped_ || !child_) return 255;
  reaped_ = true;
  return sandbox::Reap(child_);
}

}  // namespace hybridserve::sandbox

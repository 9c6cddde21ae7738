#include "sandbox/container.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <string>

#include "base/file.h"
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
constexpr int kListenQueue = 128;

Result<UniqueFd> MakeSocket() {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return FailErrno("make a socket in the sandbox");
  return socket;
}

Result<> Listen(int socket, uint16_t port) {
  // Connections of a listener before this one may still hold the port.
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket, kListenQueue) != 0) {
    return FailErrno("listen on port " + std::to_string(port) + " in the sandbox");
  }
  return {};
}

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
    auto network = OpenFile("/proc/" + std::to_string(child_.pid) + "/ns/net", O_RDONLY);
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

Result<> Container::InItsNetwork(const std::function<Result<>()>& work) {
  if (!network_) return hybridserve::Fail(Code::kConflict, "the sandbox has no network yet");
  TRY_ASSIGN(const UniqueFd own, OpenFile("/proc/self/ns/net", O_RDONLY));
  if (::setns(network_.get(), CLONE_NEWNET) != 0) return FailErrno("enter the network namespace");
  Result<> worked = work();
  // Staying in a guest's network namespace would be worse than ending.
  if (::setns(own.get(), CLONE_NEWNET) != 0) std::abort();
  return worked;
}

Result<std::vector<UniqueFd>> Container::MakeSockets(uint32_t count) {
  std::vector<UniqueFd> sockets;
  const auto make = [&sockets, count]() -> Result<> {
    for (uint32_t i = 0; i < count; ++i) {
      TRY_ASSIGN(UniqueFd socket, MakeSocket());
      sockets.push_back(std::move(socket));
    }
    return {};
  };
  TRY(InItsNetwork(make));
  return sockets;
}

Result<UniqueFd> Container::MakeListener(uint16_t port) {
  UniqueFd listener;
  const auto make = [&listener, port]() -> Result<> {
    TRY_ASSIGN(listener, MakeSocket());
    return Listen(listener.get(), port);
  };
  TRY(InItsNetwork(make));
  return listener;
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

// The agent's protocol from end to end: a LauncherClient on one end of the socket, a host in memory
// behind the other.
#include "container/agent/agent.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "container/agent/container_process.h"
#include "container/test_loop.h"
#include "ipc/seqpacket.h"
#include "launcher/client.h"

namespace hybridserve {
namespace {

using testing::HasSubstr;

Error NoSuch(ContainerId id) {
  return {Code::kNotFound, "there is no sandbox " + std::to_string(id.value)};
}

UniqueFd SomeFd() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// Remembers what it was asked.
class MemoryHost : public RuntimeHost {
 public:
  Awaitable<std::string> Open() override { co_return std::string("memory"); }
  Awaitable<> PrepareImage(Digest image) override {
    prepared = image;
    co_return Result<>{};
  }
  Awaitable<> Close() override { co_return Result<>{}; }
  Awaitable<> RemoveImage(Digest) override { co_return Fail(Code::kConflict, "it is in use"); }
  void OnExit(std::function<void(const SandboxExit&)> handler) override {
    on_exit = std::move(handler);
  }
  Awaitable<ContainerId> CreateSandbox() override {
    const ContainerId id{next++};
    sandboxes.emplace(id, SandboxSpec{});
    co_return id;
  }
  Awaitable<UniqueFd> StartSandbox(ContainerId id, SandboxSpec spec) override {
    if (!sandboxes.contains(id)) co_return tl::unexpected(NoSuch(id));
    sandboxes[id] = std::move(spec);
    co_return SomeFd();
  }
  Awaitable<std::vector<UniqueFd>> MakeSockets(ContainerId, uint32_t count) override {
    std::vector<UniqueFd> sockets;
    for (uint32_t i = 0; i < count; ++i) sockets.push_back(SomeFd());
    co_return sockets;
  }
  Awaitable<UniqueFd> MakeListener(ContainerId, uint16_t) override { co_return SomeFd(); }
  Awaitable<> FreezeSandbox(ContainerId id) override {
    frozen = id;
    co_return Result<>{};
  }
  Awaitable<> SettleSandbox(ContainerId) override { co_return Result<>{}; }
  Awaitable<> ThawSandbox(ContainerId) override {
    frozen = ContainerId{};
    co_return Result<>{};
  }
  Awaitable<SandboxUsage> Stats(ContainerId) override {
    co_return SandboxUsage{1, 2, std::chrono::nanoseconds(3), 4};
  }
  Awaitable<> DestroySandbox(ContainerId id) override {
    sandboxes.erase(id);
    co_return Result<>{};
  }
  Awaitable<std::vector<AdoptedSandbox>> List() override {
    std::vector<AdoptedSandbox> all;
    for (auto& [id, spec] : sandboxes) {
      AdoptedSandbox one{id, spec.label, {}};
      if (!spec.label.empty()) one.log = SomeFd();
      all.insert(all.begin(), std::move(one));  // The agent puts them in order.
    }
    co_return all;
  }

  std::map<ContainerId, SandboxSpec> sandboxes;
  std::function<void(const SandboxExit&)> on_exit;
  Digest prepared;
  ContainerId frozen;
  uint64_t next = 1;
};

class AgentTest : public testing::Test {
 protected:
  AgentTest() {
    auto pair = ipc::MakePair();
    EXPECT_TRUE(pair);
    agent_ = std::make_unique<Agent>(loop_.executor(), std::move(pair->first), host_,
                                     [this] { gone_ = true; });
    LauncherClient::Events events;
    events.peer = "agent";
    events.sandbox_exited = [this](const SandboxExit& exit) { exits_.push_back(exit); };
    client_ = std::make_unique<LauncherClient>(loop_.executor(), std::move(pair->second),
                                               std::move(events));
  }
  ContainerId Create() { return loop_.Await(client_->CreateSandbox()).value(); }
  static SandboxSpec Spec(std::string label) {
    SandboxSpec spec;
    spec.name = "hello";
    spec.label = std::move(label);
    spec.image.value = std::string(64, 'a');
    spec.argv = {"/hello"};
    return spec;
  }

  TestLoop loop_;
  MemoryHost host_;
  bool gone_ = false;
  std::vector<SandboxExit> exits_;
  std::unique_ptr<Agent> agent_;
  std::unique_ptr<LauncherClient> client_;
};

TEST_F(AgentTest, ServesAContainersLife) {
  const ContainerId id = Create();
  EXPECT_TRUE(loop_.Await(client_->StartSandbox(id, Spec("f@1"))));
  EXPECT_EQ(host_.sandboxes.at(id).argv, std::vector<std::string>{"/hello"});
  const auto sockets = loop_.Await(client_->MakeSockets(id, 3));
  ASSERT_TRUE(sockets);
  EXPECT_EQ(sockets->size(), 3);
  EXPECT_TRUE(loop_.Await(client_->MakeListener(id, 3128)));
  EXPECT_TRUE(loop_.Await(client_->FreezeSandbox(id)));
  EXPECT_EQ(host_.frozen, id);
  EXPECT_TRUE(loop_.Await(client_->ThawSandbox(id)));
  EXPECT_EQ(host_.frozen, ContainerId{});
  const auto usage = loop_.Await(client_->Stats(id));
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->cpu_time.count(), 3);
  EXPECT_TRUE(loop_.Await(client_->DestroySandbox(id)));
  EXPECT_TRUE(host_.sandboxes.empty());
}

TEST_F(AgentTest, FailuresKeepTheirCodeAndMessage) {
  const auto started = loop_.Await(client_->StartSandbox(ContainerId{77}, Spec("f@1")));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::kNotFound);
  EXPECT_THAT(started.error().message, HasSubstr("sandbox 77"));
  const auto removed = loop_.Await(client_->RemoveImage(Digest{std::string(64, 'b')}));
  EXPECT_EQ(removed.error().code, Code::kConflict);
}

TEST_F(AgentTest, WhatIsOutOfRangeNeverReachesTheHost) {
  const ContainerId id = Create();
  SandboxSpec bad = Spec("f@1");
  bad.image.value = "../../etc";
  EXPECT_EQ(loop_.Await(client_->StartSandbox(id, bad)).error().code, Code::kInvalidArgument);
  EXPECT_EQ(loop_.Await(client_->MakeSockets(id, 9)).error().code, Code::kInvalidArgument);
  EXPECT_EQ(loop_.Await(client_->PrepareImage(Digest{"x"})).error().code, Code::kInvalidArgument);
  EXPECT_TRUE(host_.sandboxes.at(id).label.empty());
  EXPECT_TRUE(host_.prepared.value.empty());
}

TEST_F(AgentTest, WhatOnlyTheLauncherDoesIsRefused) {
  EXPECT_EQ(loop_.Await(client_->Hello()).error().code, Code::kUnsupported);
  EXPECT_EQ(loop_.Await(client_->StartExecutor(ExecutorSpec{})).error().code, Code::kUnsupported);
}

TEST_F(AgentTest, ListsMoreThanOnePage) {
  for (int i = 0; i < 40; ++i) {
    const ContainerId id = Create();
    if (i % 2 == 0) host_.sandboxes[id].label = "f@" + std::to_string(i);
  }
  const auto all = loop_.Await(client_->List());
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->size(), 40);
  for (size_t i = 0; i < 40; ++i) {
    EXPECT_EQ((*all)[i].id.value, i + 1);
    EXPECT_EQ(static_cast<bool>((*all)[i].log), i % 2 == 0);
  }
}

TEST_F(AgentTest, TellsExits) {
  host_.on_exit({ContainerId{5}, 137, true});
  loop_.Settle();
  ASSERT_EQ(exits_.size(), 1);
  EXPECT_EQ(exits_[0].id.value, 5);
  EXPECT_TRUE(exits_[0].out_of_memory);
}

TEST_F(AgentTest, NoticesThatTheServerIsGone) {
  client_.reset();
  loop_.Settle();
  EXPECT_TRUE(gone_);
}

TEST(ContainerProcessTest, OneThatHasEndedIsNotFound) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_FALSE(ContainerProcess::Open(child));
  ::waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace hybridserve

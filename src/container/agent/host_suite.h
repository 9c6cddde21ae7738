// What every RuntimeHost is tested with, in this process: the suite of every runtime over it
// (runtime_conformance.h), and what only an agent must do. A test program includes this header once
// and instantiates both with its nodes:
//
//   INSTANTIATE_TEST_SUITE_P(Crun, RuntimeConformance, testing::Values(&MakeHarness<CrunNode>));
//   INSTANTIATE_TEST_SUITE_P(Crun, HostTest, testing::Values(&GetNode<CrunNode>));
//
// Thread rule: test code, one thread.
#pragma once

#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "base/file.h"
#include "container/agent/runtime_host.h"
#include "container/runtime_conformance.h"
#include "container/sandbox_harness.h"
#include "container/sandbox_runtime.h"
#include "sandbox/id_range.h"
#include "sandbox/mounts.h"

namespace hybridserve {

/// A store with the suite's image, and a host over it that can be taken away and made again.
class HostNode {
 public:
  virtual ~HostNode() { TakeAway(); }

  TestLoop loop;
  std::string lacks;    ///< Of this machine; then there is nothing else.
  std::string failure;  ///< It could not be made.
  Digest image;

  [[nodiscard]] RuntimeHost& host() { return *host_; }
  [[nodiscard]] SandboxRuntime& runtime() { return *runtime_; }
  [[nodiscard]] const RuntimeHostOptions& options() const { return options_; }

  /// Once, after the constructor.
  void Begin() {
    if (::geteuid() != 0) lacks = "containers need root";
    if (lacks.empty()) LeaveMounts();
    if (lacks.empty()) lacks = Lacks();
    if (!lacks.empty()) return;
    // What the runtime leaves to be reaped.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    static int nodes = 0;
    options_.node = "t" + std::to_string(::getpid()) + "n" + std::to_string(++nodes);
    options_.folder = folder_.path() / "agent";
    options_.images = folder_.path() / "images";
    image.value = std::string(64, 'c');
    const std::filesystem::path root = options_.images / image.value / "rootfs";
    std::filesystem::create_directories(root);
    std::filesystem::create_directories(options_.folder);
    std::filesystem::copy_file(ProgramFolder() / "container_conformance_guest", root / "guest");
    for (const auto& path : {root, root / "guest"}) {
      if (::chown(path.c_str(), sandbox::kOwnerBase, sandbox::kOwnerBase) != 0) failure = "chown";
    }
    Bring();
  }
  void Bring() {
    host_ = Make(options_);
    runtime_ = std::make_unique<SandboxRuntime>(loop.executor(), *host_, "test");
    host_->OnExit([this](const SandboxExit& exit) { runtime_->OnSandboxExit(exit); });
    const Result<std::string> opened = loop.Await(host_->Open());
    if (!opened) failure = opened.error().message;
    title = opened.value_or("");
    const Result<> prepared = loop.Await(host_->PrepareImage(image));
    if (!prepared && failure.empty()) failure = prepared.error().message;
  }
  /// As when the agent is killed: nothing is told, nothing is removed.
  void TakeAway() {
    runtime_.reset();
    host_.reset();
    loop.Settle();
  }

  std::string title;  ///< As Open says it.

 protected:
  /// Why the runtime cannot be used here; empty: it can.
  virtual std::string Lacks() = 0;
  virtual std::unique_ptr<RuntimeHost> Make(RuntimeHostOptions options) = 0;

 private:
  // As the launcher does, whose child an agent is: mounts of its own, and no chroot around it.
  static void LeaveMounts() {
    static bool left = false;
    if (std::exchange(left, true)) return;
    (void)ProgramFolder();  // Known by its path as it is now.
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_TRUE(sandbox::MakeMountsPrivate());
    ASSERT_TRUE(sandbox::LeaveChroot());
  }

  TemporaryFolder folder_;
  RuntimeHostOptions options_;
  std::unique_ptr<RuntimeHost> host_;
  std::unique_ptr<SandboxRuntime> runtime_;
};

/// One a program: a daemon is started once. It is never destroyed but by EndNode.
template <typename Node>
std::unique_ptr<HostNode>& NodeOf() {
  static std::unique_ptr<HostNode> node;
  return node;
}

template <typename Node>
HostNode& GetNode() {
  std::unique_ptr<HostNode>& node = NodeOf<Node>();
  if (!node) {
    node = std::make_unique<Node>();
    node->Begin();
  }
  return *node;
}

template <typename Node>
MadeHarness MakeHarness() {
  HostNode& node = GetNode<Node>();
  MadeHarness made;
  made.lacks = node.lacks;
  made.failure = node.failure;
  if (node.lacks.empty() && node.failure.empty()) {
    made.harness = std::make_unique<SandboxHarness>(node.loop, node.runtime(), node.image);
  }
  return made;
}

using GetHostNode = HostNode& (*)();

class HostTest : public testing::TestWithParam<GetHostNode> {
 protected:
  void SetUp() override {
    node_ = &GetParam()();
    if (!node_->lacks.empty()) GTEST_SKIP() << node_->lacks;
    ASSERT_TRUE(node_->failure.empty()) << node_->failure;
  }
  TestLoop& loop() { return node_->loop; }
  SandboxRuntime& runtime() { return node_->runtime(); }

  // A container of the suite's that answers.
  ContainerId Serve() {
    const Result<ContainerId> id = loop().Await(runtime().Create());
    EXPECT_TRUE(id) << id.error().message;
    SandboxHarness harness(loop(), runtime(), node_->image);
    ContainerSpec spec = harness.Spec(ConformanceProgram::kServes);
    spec.sandbox.label = "f@1";
    const Result<UniqueFd> log = loop().Await(runtime().Start(*id, std::move(spec)));
    EXPECT_TRUE(log) << log.error().message;
    EXPECT_EQ(Ask(*id), "hello");
    return *id;
  }
  // The body of its answer, as soon as it listens.
  std::string Ask(ContainerId id) {
    UniqueFd stream;
    loop().RunUntil([&] {
      Result<UniqueFd> connected = loop().Await(runtime().Connect(id));
      if (connected) stream = std::move(*connected);
      return stream || connected.error().code != Code::kUnavailable;
    });
    if (!stream) return "no connection";
    Connection connection(loop().executor(), std::move(stream));
    EXPECT_TRUE(loop().Await(connection.Write("GET / HTTP/1.1\r\nHost: test\r\n\r\n")));
    std::string answer;
    char bytes[4096];
    while (!answer.ends_with("hello")) {
      const auto size = loop().Await(connection.Read(bytes, Connection::Expect::kBytes));
      if (!size || *size == 0) return "no answer";
      answer.append(bytes, *size);
    }
    return "hello";
  }
  size_t Listed() { return loop().Await(runtime().List())->size(); }

  HostNode* node_ = nullptr;
};

TEST_P(HostTest, ARunningContainerOutlivesTheAgent) {
  const ContainerId id = Serve();
  node_->TakeAway();
  node_->Bring();
  ASSERT_TRUE(node_->failure.empty()) << node_->failure;
  auto list = loop().Await(runtime().List());
  ASSERT_TRUE(list) << list.error().message;
  ASSERT_EQ(list->size(), 1);
  EXPECT_EQ((*list)[0].id, id);
  EXPECT_EQ((*list)[0].label, "f@1");
  EXPECT_TRUE((*list)[0].log);
  EXPECT_EQ(Ask(id), "hello");
  EXPECT_GT(loop().Await(runtime().Stats(id))->memory_bytes, 0);
  std::vector<SandboxExit> exits;
  runtime().OnExit([&exits](const SandboxExit& exit) { exits.push_back(exit); });
  SandboxHarness(loop(), runtime(), node_->image).MakeItExit(id);
  loop().RunUntil([&exits] { return !exits.empty(); });
  EXPECT_EQ(exits[0].id, id);
  ASSERT_TRUE(loop().Await(runtime().Destroy(id)));
  EXPECT_EQ(Listed(), 0);
}

TEST_P(HostTest, AFrozenContainerOutlivesTheAgent) {
  const ContainerId id = Serve();
  ASSERT_TRUE(loop().Await(runtime().Freeze(id)));
  node_->TakeAway();
  node_->Bring();
  ASSERT_EQ(Listed(), 1);
  ASSERT_TRUE(loop().Await(runtime().Thaw(id)));
  EXPECT_EQ(Ask(id), "hello");
  ASSERT_TRUE(loop().Await(runtime().Destroy(id)));
}

TEST_P(HostTest, NewContainersNeverGetTheIdOfOneThatOutlivedTheAgent) {
  const ContainerId id = Serve();
  node_->TakeAway();
  node_->Bring();
  const ContainerId other = Serve();
  EXPECT_NE(other, id);
  EXPECT_EQ(Listed(), 2);
  for (const ContainerId one : {id, other}) ASSERT_TRUE(loop().Await(runtime().Destroy(one)));
}

TEST_P(HostTest, OneThatEndedWhileThereWasNoAgentIsGone) {
  const ContainerId id = Serve();
  SandboxHarness harness(loop(), runtime(), node_->image);
  harness.MakeItExit(id);
  node_->TakeAway();
  node_->Bring();
  ASSERT_TRUE(node_->failure.empty()) << node_->failure;
  loop().RunUntil([this] { return Listed() == 0; });
  const Result<UniqueFd> stream = loop().Await(runtime().Connect(id));
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().code, Code::kNotFound);
}

TEST_P(HostTest, WhatWasHeldIsGoneWithTheAgent) {
  ASSERT_TRUE(loop().Await(runtime().Create()));
  node_->TakeAway();
  node_->Bring();
  ASSERT_TRUE(node_->failure.empty()) << node_->failure;
  EXPECT_EQ(Listed(), 0);
}

TEST_P(HostTest, OneThatIsDestroyedWhileItStartsLeavesNothing) {
  const ContainerId id = *loop().Await(runtime().Create());
  SandboxHarness harness(loop(), runtime(), node_->image);
  auto start = loop().Start(runtime().Start(id, harness.Spec(ConformanceProgram::kServes)));
  ASSERT_TRUE(loop().Await(runtime().Destroy(id)));
  loop().RunUntil([&start] { return start.done(); });
  EXPECT_FALSE(start.result());
  EXPECT_EQ(Listed(), 0);
}

TEST_P(HostTest, AnImageThatIsUsedIsNotRemoved) {
  const ContainerId id = Serve();
  EXPECT_EQ(loop().Await(node_->host().RemoveImage(node_->image)).error().code, Code::kConflict);
  ASSERT_TRUE(loop().Await(runtime().Destroy(id)));
  EXPECT_TRUE(loop().Await(node_->host().RemoveImage(node_->image)));
  EXPECT_TRUE(loop().Await(node_->host().PrepareImage(node_->image)));
  Digest other;
  other.value = std::string(64, 'd');
  EXPECT_EQ(loop().Await(node_->host().PrepareImage(other)).error().code, Code::kNotFound);
}

}  // namespace hybridserve

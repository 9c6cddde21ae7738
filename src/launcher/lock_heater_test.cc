#include "launcher/lock_heater.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/file.h"

namespace hybridserve::launcher {
namespace {

class LockHeaterTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "cgroups need root";
    auto opened = sandbox::OpenCgroupTree("hybridserve-heat-" + std::to_string(::getpid()));
    if (!opened && opened.error().code == Code::kUnsupported) GTEST_SKIP() << opened.error().message;
    ASSERT_TRUE(opened) << opened.error().message;
    tree_ = std::move(*opened);
    if (tree_->kind() == "v2") GTEST_SKIP() << "cgroup v2 has nothing to heat";
    loop_ = std::move(*EventLoop::Open());
  }
  void TearDown() override {
    if (tree_) {
      EXPECT_TRUE(tree_->RemoveTree());
    }
  }
  // The children of this process.
  static std::string Children() {
    const std::string self = std::to_string(::getpid());
    return ReadFile("/proc/self/task/" + self + "/children").value_or("");
  }

  std::unique_ptr<sandbox::CgroupTree> tree_;
  std::unique_ptr<EventLoop> loop_;
};

TEST_F(LockHeaterTest, AChildMovesForAWhileAndEnds) {
  LockHeater heater(*loop_, tree_.get());
  heater.Heat();
  const std::string first = Children();
  ASSERT_FALSE(first.empty());
  EXPECT_TRUE(heater.Owns(std::stoi(first)));
  heater.Heat();
  EXPECT_EQ(Children(), first) << "one is enough";
  bool moved = false;
  bool ended = false;
  const std::string group = "/proc/" + std::to_string(std::stoi(first)) + "/cgroup";
  std::function<void()> look = [&] {
    moved |= ReadFile(group).value_or("").find("/heat-") != std::string::npos;
    ended = Children().empty();
    if (ended) return loop_->Stop();
    loop_->After(std::chrono::milliseconds(5), look);
  };
  look();
  loop_->Run();
  EXPECT_TRUE(moved);
  EXPECT_TRUE(ended);
}

TEST_F(LockHeaterTest, ItGoesWithItsOwner) {
  {
    LockHeater heater(*loop_, tree_.get());
    heater.Heat();
    EXPECT_FALSE(Children().empty());
  }
  EXPECT_TRUE(Children().empty());
}

TEST(LockHeater, WithoutCgroupsNothingIsHeated) {
  const auto loop = EventLoop::Open();
  ASSERT_TRUE(loop);
  LockHeater heater(**loop, nullptr);
  heater.Heat();
  EXPECT_FALSE(heater.Owns(::getpid()));
}

}  // namespace
}  // namespace hybridserve::launcher

// What every ContainerRuntime does: one suite for the real ones and the fake. A test program
// includes this header once and instantiates RuntimeConformance with its harness:
//
//   INSTANTIATE_TEST_SUITE_P(Fake, RuntimeConformance, testing::Values(&MakeFakeHarness));
//
// Thread rule: test code, one thread.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "container/connection.h"
#include "container/runtime.h"
#include "container/test_loop.h"

namespace hybridserve {

/// What a container of the suite runs.
enum class ConformanceProgram : uint8_t {
  kServes,        ///< Answers "hello". "/exit" exits with 7, "/eat" uses memory without end,
                  ///< "/knock/PORT" connects to that port, "/threads" says how many threads it could
                  ///< start, "/burn" for how many of 400 ms it got the processor.
  kNeverListens,  ///< Runs on.
  kExits,         ///< Writes "out" to stdout and "err" to stderr, and exits with 3.
  kSpeaks,        ///< Writes "PORT=" and its PORT, "GREETING=" and its GREETING, and runs on.
  kMissing,       ///< Names a program that its image does not have.
  kNoImage,       ///< Names an image that does not exist.
};

/// One runtime under test.
class RuntimeHarness {
 public:
  virtual ~RuntimeHarness() = default;
  virtual TestLoop& loop() = 0;
  virtual ContainerRuntime& runtime() = 0;
  virtual ContainerSpec Spec(ConformanceProgram program) = 0;
  /// Has a kServes container exit with status 7, or use memory until it is killed.
  virtual void MakeItExit(ContainerId id) = 0;
  virtual void MakeItEatMemory(ContainerId id) = 0;
  /// Has it connect to 127.0.0.1:`port` inside, send "knock" and keep the connection.
  virtual void MakeItKnock(ContainerId id, uint16_t port) = 0;
  /// The body that a kServes container answers `path` with; absent: nothing real runs in it.
  virtual std::optional<std::string> AnswerTo(ContainerId id, std::string_view path) = 0;
};

/// A harness, or why there is none: because this machine lacks something, or by a failure.
struct MadeHarness {
  std::unique_ptr<RuntimeHarness> harness;
  std::string lacks;
  std::string failure;
};
using MakeRuntimeHarness = MadeHarness (*)();

class RuntimeConformance : public testing::TestWithParam<MakeRuntimeHarness> {
 protected:
  void SetUp() override {
    MadeHarness made = GetParam()();
    if (!made.lacks.empty()) GTEST_SKIP() << made.lacks;
    ASSERT_TRUE(made.harness) << made.failure;
    harness_ = std::move(made.harness);
    runtime().OnExit([this](const SandboxExit& exit) { exits_.push_back(exit); });
  }
  void TearDown() override {
    if (!harness_) return;
    for (const ContainerId id : created_) {
      EXPECT_TRUE(loop().Await(runtime().Destroy(id)));
    }
    const auto left = loop().Await(runtime().List());
    ASSERT_TRUE(left);
    EXPECT_TRUE(left->empty()) << "nothing is left behind";
    runtime().OnExit(nullptr);
  }

  TestLoop& loop() { return harness_->loop(); }
  ContainerRuntime& runtime() { return harness_->runtime(); }

  ContainerId Create() {
    const Result<ContainerId> id = loop().Await(runtime().Create());
    EXPECT_TRUE(id) << id.error().message;
    created_.push_back(id.value_or(ContainerId{}));
    return created_.back();
  }
  Result<UniqueFd> Start(ContainerId id, ConformanceProgram program) {
    ContainerSpec spec = harness_->Spec(program);
    spec.sandbox.label = "conformance@" + std::to_string(id.value);
    return loop().Await(runtime().Start(id, std::move(spec)));
  }
  ContainerId Run(ConformanceProgram program) {
    const ContainerId id = Create();
    Result<UniqueFd> log = Start(id, program);
    EXPECT_TRUE(log) << log.error().message;
    if (log) logs_.push_back(std::move(*log));
    return id;
  }

  // A connection as soon as the container listens.
  static Awaitable<UniqueFd> ConnectSoon(TestLoop& loop, ContainerRuntime& runtime,
                                         ContainerId id) {
    for (int tries = 0;; ++tries) {
      Result<UniqueFd> stream = co_await runtime.Connect(id);
      if (stream || stream.error().code != Code::kUnavailable || tries == 5000) co_return stream;
      boost::asio::steady_timer pause(loop.io, std::chrono::milliseconds(1));
      co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
  }
  UniqueFd Connect(ContainerId id) {
    Result<UniqueFd> stream = loop().Await(ConnectSoon(loop(), runtime(), id));
    EXPECT_TRUE(stream) << stream.error().message;
    return stream ? std::move(*stream) : UniqueFd();
  }
  Result<UniqueFd> ConnectOnce(ContainerId id) { return loop().Await(runtime().Connect(id)); }

  static Awaitable<std::string> Ask(Connection& connection) {
    CO_TRY(co_await connection.Write("GET / HTTP/1.1\r\nHost: test\r\n\r\n"));
    std::string answer;
    char bytes[4096];
    while (answer.find("\r\n\r\n") == std::string::npos || !answer.ends_with("hello")) {
      CO_TRY_ASSIGN(const size_t size, co_await connection.Read(bytes, Connection::Expect::kBytes));
      if (size == 0) break;
      answer.append(bytes, size);
    }
    co_return answer;
  }
  std::string Ask(UniqueFd stream) {
    Connection connection(loop().executor(), std::move(stream));
    return loop().Await(Ask(connection)).value_or("");
  }

  // What the log brings until it ends, or until it has `enough`.
  static boost::asio::awaitable<std::string> ReadLog(TestLoop& loop, UniqueFd log,
                                                     std::string enough) {
    boost::asio::posix::stream_descriptor pipe(loop.io, log.Release());
    std::string text;
    char bytes[4096];
    while (enough.empty() || text.find(enough) == std::string::npos) {
      const auto [error, size] = co_await pipe.async_read_some(
          boost::asio::buffer(bytes), boost::asio::as_tuple(boost::asio::use_awaitable));
      if (error) break;
      text.append(bytes, size);
    }
    co_return text;
  }
  std::string Log(std::string enough = "") {
    UniqueFd log = std::move(logs_.back());
    logs_.pop_back();
    return loop().Await(ReadLog(loop(), std::move(log), std::move(enough)));
  }

  std::unique_ptr<RuntimeHarness> harness_;
  std::vector<ContainerId> created_;
  std::vector<UniqueFd> logs_;
  std::vector<SandboxExit> exits_;
};

TEST_P(RuntimeConformance, AStartedContainerAnswersOverItsConnections) {
  const ContainerId id = Run(ConformanceProgram::kServes);
  UniqueFd first = Connect(id);
  UniqueFd second = Connect(id);
  EXPECT_THAT(Ask(std::move(second)), testing::EndsWith("hello"));
  EXPECT_THAT(Ask(std::move(first)), testing::EndsWith("hello"));
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(Ask(Connect(id)), testing::EndsWith("hello"));
  }
  EXPECT_TRUE(exits_.empty());
}

TEST_P(RuntimeConformance, ACreatedContainerRunsNothingYet) {
  const ContainerId id = Create();
  const Result<UniqueFd> stream = ConnectOnce(id);
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().code, Code::kNotFound);
}

TEST_P(RuntimeConformance, AContainerGetsItsPortAndEnvironmentAndItsOutputIsItsLog) {
  Run(ConformanceProgram::kSpeaks);
  const std::string log = Log("GREETING=");
  EXPECT_THAT(log, testing::HasSubstr("PORT=8080"));
  EXPECT_THAT(log, testing::HasSubstr("GREETING=good morning"));
}

TEST_P(RuntimeConformance, AContainerThatNeverListensIsUnavailable) {
  const ContainerId id = Run(ConformanceProgram::kNeverListens);
  for (int i = 0; i < 20; ++i) {
    const Result<UniqueFd> stream = ConnectOnce(id);
    ASSERT_FALSE(stream);
    EXPECT_EQ(stream.error().code, Code::kUnavailable);
  }
}

TEST_P(RuntimeConformance, AnExitIsToldOnceWithItsStatusAndTheLogEnds) {
  const ContainerId id = Run(ConformanceProgram::kExits);
  const std::string log = Log();
  EXPECT_THAT(log, testing::HasSubstr("out"));
  EXPECT_THAT(log, testing::HasSubstr("err"));
  loop().RunUntil([this] { return !exits_.empty(); });
  loop().Settle();
  ASSERT_EQ(exits_.size(), 1);
  EXPECT_EQ(exits_[0].id, id);
  EXPECT_EQ(exits_[0].status, 3);
  EXPECT_FALSE(exits_[0].out_of_memory);
  const Result<UniqueFd> stream = ConnectOnce(id);
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().code, Code::kNotFound);
  EXPECT_TRUE(loop().Await(runtime().Destroy(id)));
}

TEST_P(RuntimeConformance, AnExitLaterIsToldAndBreaksItsConnections) {
  const ContainerId id = Run(ConformanceProgram::kServes);
  Connection connection(loop().executor(), Connect(id));
  harness_->MakeItExit(id);
  loop().RunUntil([this] { return !exits_.empty(); });
  EXPECT_EQ(exits_[0].status, 7);
  EXPECT_FALSE(connection.IdleAndOpen());
}

TEST_P(RuntimeConformance, RunningOutOfMemoryIsTold) {
  const ContainerId id = Run(ConformanceProgram::kServes);
  Connect(id).Reset();
  harness_->MakeItEatMemory(id);
  loop().RunUntil([this] { return !exits_.empty(); });
  EXPECT_EQ(exits_[0].id, id);
  EXPECT_TRUE(exits_[0].out_of_memory);
  EXPECT_EQ(exits_[0].status, 128 + 9);
}

TEST_P(RuntimeConformance, DestroyEndsARunningContainerForGoodAndIsNoExit) {
  const ContainerId id = Run(ConformanceProgram::kServes);
  Connection connection(loop().executor(), Connect(id));
  ASSERT_TRUE(loop().Await(runtime().Destroy(id)));
  Log();  // ends
  EXPECT_FALSE(connection.IdleAndOpen());
  const Result<UniqueFd> stream = ConnectOnce(id);
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().code, Code::kNotFound);
  EXPECT_EQ(loop().Await(runtime().Stats(id)).error().code, Code::kNotFound);
  EXPECT_TRUE(loop().Await(runtime().Destroy(id))) << "a second time is no error";
  loop().Settle();
  EXPECT_TRUE(exits_.empty());
}

TEST_P(RuntimeConformance, AContainerThatWasNeverStartedCanBeDestroyed) {
  const ContainerId id = Create();
  EXPECT_TRUE(loop().Await(runtime().Destroy(id)));
  const Result<UniqueFd> started = Start(id, ConformanceProgram::kServes);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::kNotFound);
}

TEST_P(RuntimeConformance, UnknownContainersAreNotFound) {
  const ContainerId id{123456789};
  EXPECT_EQ(Start(id, ConformanceProgram::kServes).error().code, Code::kNotFound);
  EXPECT_EQ(ConnectOnce(id).error().code, Code::kNotFound);
  EXPECT_EQ(loop().Await(runtime().Stats(id)).error().code, Code::kNotFound);
  EXPECT_EQ(loop().Await(runtime().Freeze(id)).error().code, Code::kNotFound);
  EXPECT_EQ(loop().Await(runtime().Thaw(id)).error().code, Code::kNotFound);
  EXPECT_TRUE(loop().Await(runtime().Destroy(id)));
}

TEST_P(RuntimeConformance, AContainerStartsOnce) {
  const ContainerId id = Run(ConformanceProgram::kServes);
  const Result<UniqueFd> again = Start(id, ConformanceProgram::kServes);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kConflict);
  EXPECT_THAT(Ask(Connect(id)), testing::EndsWith("hello"));
}

TEST_P(RuntimeConformance, AProgramOrImageThatIsNotThereIsTold) {
  const Result<UniqueFd> no_program = Start(Create(), ConformanceProgram::kMissing);
  ASSERT_FALSE(no_program);
  EXPECT_EQ(no_program.error().code, Code::kInvalidArgument) << no_program.error().message;
  const Result<UniqueFd> no_image = Start(Create(), ConformanceProgram::kNoImage);
  ASSERT_FALSE(no_image);
  EXPECT_EQ(no_image.error().code, Code::kNotFound) << no_image.error().message;
  loop().Settle();
  EXPECT_TRUE(exits_.empty());
}

TEST_P(RuntimeConformance, ListNamesTheRunningByTheirLabels) {
  const ContainerId a = Run(ConformanceProgram::kServes);
  const ContainerId b = Run(ConformanceProgram::kNeverListens);
  const auto list = loop().Await(runtime().List());
  ASSERT_TRUE(list);
  std::set<std::string> labels;
  for (const AdoptedContainer& one : *list) {
    EXPECT_TRUE(one.id == a || one.id == b);
    EXPECT_TRUE(one.log);
    labels.insert(one.label);
  }
  EXPECT_EQ(labels, (std::set<std::string>{"conformance@" + std::to_string(a.value),
                                           "conformance@" + std::to_string(b.value)}));
}

TEST_P(RuntimeConformance, WhatAContainerConnectsToIsAcceptedOutside) {
  const ContainerId id = Create();
  Result<UniqueFd> listener = loop().Await(runtime().Listen(id, 3128));
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_EQ(loop().Await(runtime().Listen(id, 3128)).error().code, Code::kConflict);
  Result<UniqueFd> log = Start(id, ConformanceProgram::kServes);
  ASSERT_TRUE(log) << log.error().message;
  Connect(id).Reset();
  harness_->MakeItKnock(id, 3128);
  UniqueFd accepted;
  loop().RunUntil([&accepted, &listener] {
    accepted.Reset(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    return static_cast<bool>(accepted);
  });
  Connection connection(loop().executor(), std::move(accepted));
  char bytes[16];
  const Result<size_t> size =
      loop().Await(connection.Read(bytes, Connection::Expect::kNothingYet));
  ASSERT_TRUE(size) << size.error().message;
  EXPECT_EQ(std::string_view(bytes, *size), "knock");
  EXPECT_EQ(loop().Await(runtime().Listen(ContainerId{123456789}, 3128)).error().code,
            Code::kNotFound);
}

TEST_P(RuntimeConformance, AFrozenContainerTakesConnectionsAndAnswersOnceItIsThawed) {
  const ContainerId id = Run(ConformanceProgram::kServes);
  Connect(id).Reset();
  const Result<> frozen = loop().Await(runtime().Freeze(id));
  if (!frozen && frozen.error().code == Code::kUnsupported) GTEST_SKIP() << frozen.error().message;
  ASSERT_TRUE(frozen) << frozen.error().message;
  EXPECT_TRUE(loop().Await(runtime().Freeze(id))) << "a second time is no error";
  Connection connection(loop().executor(), Connect(id));
  auto answer = loop().Start(Ask(connection));
  loop().Settle();
  EXPECT_FALSE(answer.done());
  EXPECT_TRUE(loop().Await(runtime().Stats(id)));
  ASSERT_TRUE(loop().Await(runtime().Thaw(id)));
  EXPECT_TRUE(loop().Await(runtime().Thaw(id))) << "a second time is no error";
  loop().RunUntil([&answer] { return answer.done(); });
  EXPECT_THAT(answer.result().value_or(""), testing::EndsWith("hello"));
  EXPECT_TRUE(exits_.empty());
}

TEST_P(RuntimeConformance, AFrozenContainerCanBeDestroyed) {
  const ContainerId id = Run(ConformanceProgram::kServes);
  Connect(id).Reset();
  const Result<> frozen = loop().Await(runtime().Freeze(id));
  if (!frozen && frozen.error().code == Code::kUnsupported) GTEST_SKIP() << frozen.error().message;
  ASSERT_TRUE(frozen) << frozen.error().message;
  ASSERT_TRUE(loop().Await(runtime().Destroy(id)));
  Log();  // ends
  loop().Settle();
  EXPECT_TRUE(exits_.empty());
}

TEST_P(RuntimeConformance, StatsMeasureARunningContainer) {
  const ContainerId id = Run(ConformanceProgram::kServes);
  Connect(id).Reset();
  const Result<SandboxUsage> usage = loop().Await(runtime().Stats(id));
  ASSERT_TRUE(usage) << usage.error().message;
  EXPECT_GT(usage->memory_bytes, 0);
  EXPECT_GE(usage->peak_memory_bytes, usage->memory_bytes);
  EXPECT_GE(usage->processes, 1);
}

TEST_P(RuntimeConformance, ItsProcessesAndItsProcessorTimeAreLimited) {
  const ContainerId id = Create();
  ContainerSpec spec = harness_->Spec(ConformanceProgram::kServes);
  spec.sandbox.label = "conformance@" + std::to_string(id.value);
  spec.sandbox.pids = 12;
  spec.sandbox.cpu_cores = 0.25;
  Result<UniqueFd> log = loop().Await(runtime().Start(id, std::move(spec)));
  ASSERT_TRUE(log) << log.error().message;
  Connect(id).Reset();
  const std::optional<std::string> burned = harness_->AnswerTo(id, "/burn");
  if (!burned) GTEST_SKIP() << "nothing real runs in these containers";
  EXPECT_LT(std::stoi(*burned), 200) << "a quarter of a core for 400 ms";
  const std::optional<std::string> threads = harness_->AnswerTo(id, "/threads");
  EXPECT_LT(std::stoi(threads.value_or("99")), 12);
}

TEST_P(RuntimeConformance, SeveralStartAtOnce) {
  std::vector<TestLoop::Task<Result<ContainerId>>> creations;
  for (int i = 0; i < 4; ++i) creations.push_back(loop().Start(runtime().Create()));
  std::set<ContainerId> ids;
  std::vector<TestLoop::Task<Result<UniqueFd>>> starts;
  for (auto& creation : creations) {
    loop().RunUntil([&creation] { return creation.done(); });
    ASSERT_TRUE(creation.result()) << creation.result().error().message;
    created_.push_back(*creation.result());
    ids.insert(created_.back());
    starts.push_back(loop().Start(
        runtime().Start(created_.back(), harness_->Spec(ConformanceProgram::kServes))));
  }
  EXPECT_EQ(ids.size(), 4);
  for (auto& start : starts) {
    loop().RunUntil([&start] { return start.done(); });
    EXPECT_TRUE(start.result()) << start.result().error().message;
  }
  for (const ContainerId id : ids) EXPECT_THAT(Ask(Connect(id)), testing::EndsWith("hello"));
}

}  // namespace hybridserve

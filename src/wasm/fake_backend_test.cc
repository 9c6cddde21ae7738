#include "wasm/fake_backend.h"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <list>

namespace hybridserve {
namespace {

namespace asio = boost::asio;

class FakeWasmBackendTest : public testing::Test {
 protected:
  FakeWasmBackendTest() {
    auto function = std::make_shared<Deployed>();
    function->manifest.name = FunctionName{"f"};
    function->manifest.limits.run_timeout = std::chrono::milliseconds(30);
    function->module = Digest{"m"};
    function_ = function;
  }
  // Starts one; its result is in `result` once the loop has run.
  void Start(std::optional<Result<WasmResult>>& result) {
    asio::co_spawn(loop_, wasm_.Invoke({.function = function_, .head = &head_, .body = "hi"}),
                   asio::bind_cancellation_slot(
                       signals_.emplace_back().slot(), [&result](const std::exception_ptr&, Result<WasmResult> r) {
                         result.emplace(std::move(r));
                       }));
  }

  asio::io_context loop_{1};
  FakeWasmBackend wasm_{loop_.get_executor()};
  std::list<asio::cancellation_signal> signals_;  // One a coroutine: a signal has one slot.
  RequestHead head_;
  DeployedPtr function_;
};

TEST_F(FakeWasmBackendTest, EchoesColdAndThenWarmUntilUnloaded) {
  for (const StartKind kind : {StartKind::kCold, StartKind::kWarm}) {
    std::optional<Result<WasmResult>> result;
    Start(result);
    loop_.restart();
    loop_.run();
    ASSERT_TRUE(result && *result);
    EXPECT_EQ((*result)->bytes, "hi");
    EXPECT_EQ((*result)->start_kind, kind);
  }
  EXPECT_TRUE(wasm_.IsLoaded(*function_));
  wasm_.Unload(*function_);
  EXPECT_FALSE(wasm_.IsLoaded(*function_));
}

TEST_F(FakeWasmBackendTest, HeldInvocationEndsWhenItIsReleasedOrOverdue) {
  std::optional<Result<WasmResult>> released;
  std::optional<Result<WasmResult>> overdue;
  wasm_.Hold();
  Start(released);
  Start(overdue);
  loop_.poll();
  EXPECT_EQ(wasm_.running(), 2u);
  EXPECT_TRUE(wasm_.ReleaseOne());
  loop_.restart();
  loop_.run();
  EXPECT_TRUE(released->has_value());
  EXPECT_EQ(overdue->error().code, Code::kTimeout);
}

TEST_F(FakeWasmBackendTest, CancellationEndsIt) {
  std::optional<Result<WasmResult>> result;
  wasm_.Hold();
  Start(result);
  loop_.poll();
  signals_.back().emit(asio::cancellation_type::terminal);
  loop_.restart();
  loop_.run();
  EXPECT_EQ(result->error().code, Code::kCancelled);
  EXPECT_EQ(wasm_.running(), 0u);
}

}  // namespace
}  // namespace hybridserve

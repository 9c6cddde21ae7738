// ExecutorFixture: an ExecutorPool over real executors, for tests, and verbs that make a case
// short.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/file.h"
#include "executors/tests/guests.h"
#include "executors/tests/spawning_host.h"
#include "wasm/executor_pool.h"

namespace hybridserve {

/// Skips the test when a tool is missing; fails it when the guest cannot be built.
#define HS_GUEST_OR_SKIP(variable, expression)                                    \
  const auto variable##_result = (expression);                                    \
  if (!variable##_result && variable##_result.error().code == Code::kUnsupported) \
    GTEST_SKIP() << variable##_result.error().message;                            \
  ASSERT_TRUE(variable##_result) << variable##_result.error().message;            \
  const std::string& variable = *variable##_result

class ExecutorFixture : public testing::Test {
 protected:
  /// By the environment; nothing there: the defaults.
  static EngineChoice EngineUnderTest() {
    const char* engine = std::getenv("HYBRIDSERVE_TEST_ENGINE");
    const char* compiler = std::getenv("HYBRIDSERVE_TEST_COMPILER");
    return {engine != nullptr ? engine : "", compiler != nullptr ? compiler : ""};
  }

  void SetUp() override {
    static const Result<std::string> probe = FromText("(module)");
    if (!probe) GTEST_SKIP() << probe.error().message;
    MakePool();
  }
  void TearDown() override {
    pool_.reset();
    // Lets what the pool started on its own see that it has ended.
    loop_.restart();
    loop_.run_for(std::chrono::milliseconds(200));
  }

  /// A new pool on the same folder, as after the server's restart.
  void MakePool(uint32_t threads = 4) {
    pool_.reset();
    ExecutorPoolOptions options;
    options.engine = EngineUnderTest();
    options.threads = threads;
    options.aot_folder = folder_.path() / "aot";
    options.aot_key_file = folder_.path() / "aot.key";
    options.kill_grace = kill_grace_;
    pool_ = std::make_unique<ExecutorPool>(
        loop_.get_executor(), options, host_,
        [this](const Digest& digest) -> Result<UniqueFd> {
          const auto found = modules_.find(digest);
          if (found == modules_.end()) return Fail(Code::kNotFound, "no module " + digest.value);
          return SealedMemfd("module", found->second);
        },
        ExecutorPoolEvents{
            .log =
                [this](const Deployed&, std::string_view request, std::string_view text) {
                  log_ += std::string(request) + ": " + std::string(text);
                },
            .executor_died = [this](std::string_view domain,
                                    std::string_view) { died_.emplace_back(domain); }});
  }

  /// A revision of a function with this module.
  std::shared_ptr<Deployed> Deploy(const std::string& wasm) {
    auto function = std::make_shared<Deployed>();
    function->manifest.name = FunctionName{"guest"};
    function->module = Sha256(wasm);
    modules_[function->module] = wasm;
    return function;
  }

  /// Runs the loop until the coroutine has ended.
  template <typename T>
  Result<T> Await(Awaitable<T> awaitable) {
    std::optional<Result<T>> result;
    boost::asio::co_spawn(loop_, std::move(awaitable),
                          [&result](const std::exception_ptr& error, Result<T> value) {
                            if (!error) result.emplace(std::move(value));
                          });
    loop_.restart();
    while (!result && loop_.run_one() != 0) {
    }
    if (!result) return Fail(Code::kInternal, "the coroutine did not end");
    return std::move(*result);
  }

  Result<WasmResult> Invoke(const DeployedPtr& function, std::string query = "",
                            std::string_view body = "") {
    head_.query = std::move(query);
    head_.method = body.empty() ? "GET" : "POST";
    head_.has_body = !body.empty();
    head_.request_id = "r1";
    return Await(pool_->Invoke({.function = function, .head = &head_, .body = body}));
  }

  static std::string BodyOf(const Result<WasmResult>& result) {
    if (!result) return "error: " + result.error().message;
    return result->bytes.substr(result->body_offset);
  }

  TemporaryFolder folder_;
  boost::asio::io_context loop_{1};
  SpawningHost host_;
  std::map<Digest, std::string> modules_;
  std::chrono::milliseconds kill_grace_{5000};
  std::string log_;
  std::vector<std::string> died_;
  RequestHead head_;
  std::unique_ptr<ExecutorPool> pool_;
};

}  // namespace hybridserve

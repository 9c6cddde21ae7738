#include "wasm/fake_backend.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace hybridserve {

namespace asio = boost::asio;

struct FakeWasmBackend::Waiting {
  explicit Waiting(const asio::any_io_executor& executor) : timer(executor) {}
  asio::steady_timer timer;
  bool released = false;
};

FakeWasmBackend::FakeWasmBackend(asio::any_io_executor executor, uint32_t slots)
    : executor_(std::move(executor)), slots_(slots) {}

FakeWasmBackend::~FakeWasmBackend() = default;

bool FakeWasmBackend::ReleaseOne() {
  for (Waiting* waiting : waiting_) {
    if (waiting->released) continue;
    waiting->released = true;
    waiting->timer.cancel();
    return true;
  }
  return false;
}

void FakeWasmBackend::ReleaseAll() {
  hold_ = false;
  while (ReleaseOne()) {
  }
}

Awaitable<> FakeWasmBackend::Prepare(DeployedPtr function) {
  ++prepared_;
  if (prepare_error_) co_return tl::unexpected<Error>(*prepare_error_);
  compiled_.insert(function->module);
  co_return Result<>();
}

Awaitable<> FakeWasmBackend::Run(std::chrono::milliseconds run_timeout) {
  if (!hold_ && delay_.count() == 0) co_return Result<>();
  co_await asio::this_coro::throw_if_cancelled(false);
  Waiting waiting(executor_);
  const bool held = hold_;
  const auto entry = waiting_.insert(waiting_.end(), &waiting);
  waiting.timer.expires_after(held ? run_timeout : std::min(delay_, run_timeout));
  const auto [error] = co_await waiting.timer.async_wait(asio::as_tuple(asio::use_awaitable));
  waiting_.erase(entry);
  if (waiting.released) co_return Result<>();
  if (error) {
    ++cancelled_;
    co_return Fail(Code::kCancelled, "the client went away");
  }
  if (held || delay_ >= run_timeout) {
    co_return Fail(Code::kTimeout, "run timeout: the function ran longer than " +
                                       std::to_string(run_timeout.count()) + " ms");
  }
  co_return Result<>();
}

Result<WasmResult> FakeWasmBackend::Answer(const WasmInvocation& invocation) {
  FakeWasmAnswer answer;
  if (handler_) {
    TRY_ASSIGN(answer, handler_(invocation));
  } else {
    answer.head.headers.push_back({"Content-Type", "application/octet-stream"});
    answer.body = std::string(invocation.body);
  }
  WasmResult result;
  result.head = std::move(answer.head);
  result.bytes = std::move(answer.body);
  return result;
}

Awaitable<WasmResult> FakeWasmBackend::Invoke(WasmInvocation invocation) {
  const DeployedPtr function = invocation.function;
  if (!compiled_.contains(function->module)) {
    Result<> prepared = co_await Prepare(function);
    if (!prepared) co_return tl::unexpected<Error>(prepared.error());
  }
  ++invocations_;
  peak_running_ = std::max(peak_running_, ++running_);
  const bool cold = loaded_.insert(function->module).second;
  Result<> ran = co_await Run(function->manifest.limits.run_timeout);
  --running_;
  if (!ran) co_return tl::unexpected<Error>(ran.error());
  Result<WasmResult> result = Answer(invocation);
  if (result) result->start_kind = cold ? StartKind::kCold : StartKind::kWarm;
  co_return result;
}

void FakeWasmBackend::Unload(const Deployed& function) {
  if (loaded_.erase(function.module) != 0) unloaded_.push_back(function.manifest.name);
}

bool FakeWasmBackend::IsLoaded(const Deployed& function) const {
  return loaded_.contains(function.module);
}

}  // namespace hybridserve

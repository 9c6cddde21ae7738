#include "admin/control_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>
#include <thread>
#include <vector>

#include "admin/async_lock.h"
#include "container/test_loop.h"

namespace hybridserve {
namespace {

TEST(ControlThread, RunsWorkElsewhereAndComesBack) {
  TestLoop loop;
  ControlThread control;
  auto work = []() -> Result<std::thread::id> { return std::this_thread::get_id(); };
  std::thread::id after;
  auto run = [](ControlThread* thread, auto job,
                std::thread::id* back) -> boost::asio::awaitable<Result<std::thread::id>> {
    Result<std::thread::id> id = co_await thread->Run(job);
    *back = std::this_thread::get_id();
    co_return id;
  };
  const Result<std::thread::id> there = loop.Await(run(&control, work, &after));
  EXPECT_NE(*there, std::this_thread::get_id());
  EXPECT_EQ(after, std::this_thread::get_id());
}

TEST(ControlThread, JobsEndInTheOrderOfTheirStart) {
  TestLoop loop;
  ControlThread control;
  std::vector<int> ended;
  auto run = [](ControlThread* thread, std::vector<int>* order, int i) -> Awaitable<> {
    auto work = []() -> Result<> { return {}; };
    Result<> done = co_await thread->Run(work);
    order->push_back(i);
    co_return done;
  };
  for (int i = 0; i < 50; ++i) loop.Start(run(&control, &ended, i));
  loop.RunUntil([&ended] { return ended.size() == 50; });
  for (int i = 0; i < 50; ++i) EXPECT_EQ(ended[static_cast<size_t>(i)], i);
}

TEST(ControlThread, ItsEndWaitsForWhatWasBegun) {
  TestLoop loop;
  std::atomic<bool> finished = false;
  {
    ControlThread control;
    auto run = [](ControlThread* thread, std::atomic<bool>* flag) -> Awaitable<> {
      auto work = [flag]() -> Result<> {
        *flag = true;
        return {};
      };
      co_return co_await thread->Run(work);
    };
    loop.Start(run(&control, &finished));
  }
  EXPECT_TRUE(finished);
}

Awaitable<> Take(AsyncLock* lock, std::string* log, char name, boost::asio::steady_timer* until) {
  const AsyncLock::Guard guard = co_await lock->Lock();
  *log += name;
  boost::system::error_code ignored;
  co_await until->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  *log += static_cast<char>(name - 'a' + 'A');
  co_return Result<>();
}

TEST(AsyncLock, OneAtATimeInTheOrderOfAsking) {
  TestLoop loop;
  AsyncLock lock(loop.executor());
  boost::asio::steady_timer until(loop.io, boost::asio::steady_timer::time_point::max());
  std::string log;
  auto a = loop.Start(Take(&lock, &log, 'a', &until));
  auto b = loop.Start(Take(&lock, &log, 'b', &until));
  auto c = loop.Start(Take(&lock, &log, 'c', &until));
  EXPECT_EQ(log, "a");
  until.cancel();
  loop.Settle();
  EXPECT_EQ(log, "aAb");
  until.cancel();
  loop.Settle();
  until.cancel();
  loop.Settle();
  EXPECT_EQ(log, "aAbBcC");
  auto d = loop.Start(Take(&lock, &log, 'd', &until));
  EXPECT_EQ(log, "aAbBcCd");
  until.cancel();
  loop.Settle();
}

}  // namespace
}  // namespace hybridserve

#include "admin/control_thread.h"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace hybridserve {

namespace asio = boost::asio;

struct ControlThread::Impl {
  asio::thread_pool thread{1};
};

ControlThread::ControlThread() : impl_(std::make_unique<Impl>()) {}
ControlThread::~ControlThread() { impl_->thread.join(); }

asio::awaitable<void> ControlThread::RunJob(std::function<void()> job) {
  const auto initiate = [this](auto handler, std::function<void()> work) {
    // The loop must not run out of work while the only work there is lies here.
    auto loop = asio::prefer(asio::get_associated_executor(handler),
                             asio::execution::outstanding_work.tracked);
    asio::post(impl_->thread, [handler = std::move(handler), work = std::move(work),
                               loop = std::move(loop)]() mutable {
      work();
      asio::post(loop, std::move(handler));
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      initiate, asio::use_awaitable, std::move(job));
}

}  // namespace hybridserve

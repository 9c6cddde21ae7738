#include "egress/resolver.h"

#include <netdb.h>
#include <netinet/in.h>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "container/event.h"
#include "function/units.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;

constexpr size_t kThreads = 4;

asio::ip::address AddressOf(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const auto& four = reinterpret_cast<const sockaddr_in&>(address);
    return asio::ip::address_v4(ntohl(four.sin_addr.s_addr));
  }
  const auto& six = reinterpret_cast<const sockaddr_in6&>(address);
  asio::ip::address_v6::bytes_type bytes;
  std::copy_n(six.sin6_addr.s6_addr, bytes.size(), bytes.begin());
  return asio::ip::address_v6(bytes, six.sin6_scope_id);
}

// One lookup: of the coroutine that waits and of the thread that works.
struct Job {
  explicit Job(const asio::any_io_executor& executor) : done(executor) {}
  Result<Resolver::Addresses> result = Resolver::Addresses{};
  bool finished = false;
  Event done;
};

}  // namespace

struct Resolver::Impl {
  Impl(asio::any_io_executor loop, Clock& the_clock, Lookup the_lookup)
      : executor(std::move(loop)), clock(the_clock), lookup(std::move(the_lookup)) {}

  asio::any_io_executor executor;
  Clock& clock;
  Lookup lookup;
  size_t pending = 0;
  asio::thread_pool threads{kThreads};
};

Resolver::Resolver(asio::any_io_executor executor, Clock& clock, Lookup lookup)
    : impl_(std::make_shared<Impl>(std::move(executor), clock, std::move(lookup))) {}

Resolver::~Resolver() { impl_->threads.join(); }

Awaitable<Resolver::Addresses> Resolver::Resolve(std::string name, Clock::TimePoint deadline) {
  const std::shared_ptr<Impl> impl = impl_;
  if (impl->pending == kMaxPending) {
    co_return Fail(Code::kUnavailable, "too many names are being looked up; try again later");
  }
  ++impl->pending;
  auto job = std::make_shared<Job>(impl->executor);  // Shared with the thread.
  std::function<void()> work = [weak = std::weak_ptr(impl), lookup = impl->lookup, job, name,
                                executor = impl->executor] {
    Result<Addresses> found = lookup(name);
    asio::post(executor, [weak, job, found = std::move(found)]() mutable {
      if (const auto still = weak.lock()) --still->pending;
      job->result = std::move(found);
      job->finished = true;
      job->done.Set();
    });
  };
  asio::post(impl->threads, std::move(work));
  while (!job->finished && impl->clock.Now() < deadline) {
    co_await job->done.WaitUntil(impl->clock, deadline);
  }
  if (!job->finished) {
    co_return Fail(Code::kTimeout, "the name " + Quote(name) + " was not resolved in time");
  }
  co_return std::move(job->result);
}

Result<Resolver::Addresses> SystemLookup(const std::string& name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(name.c_str(), nullptr, &hints, &found);
  if (failed != 0) {
    return Fail(Code::kNotFound,
                "the name " + Quote(name) + " cannot be resolved: " + ::gai_strerror(failed));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  Resolver::Addresses addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (one->ai_family != AF_INET && one->ai_family != AF_INET6) continue;
    addresses.push_back(AddressOf(*one->ai_addr));
  }
  return addresses;
}

}  // namespace hybridserve

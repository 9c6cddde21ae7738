#include "wasm/body_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/file.h"

namespace hybridserve {

namespace asio = boost::asio;

namespace {

// Copied at a stretch: well under a millisecond.
constexpr size_t kPieceBytes = 1u << 20;

Result<> CheckFile(int fd, uint64_t bytes, uint64_t limit_bytes) {
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK;
  struct stat stat {};
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals || ::fstat(fd, &stat) != 0 ||
      static_cast<uint64_t>(stat.st_size) != bytes || bytes > limit_bytes) {
    return Fail(Code::kFunctionFailed,
                "the executor handed over a bad response of " + std::to_string(bytes) + " bytes");
  }
  return {};
}

}  // namespace

Awaitable<UniqueFd> MakeBodyFile(std::string_view bytes) {
  UniqueFd fd(::memfd_create("request", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) co_return FailErrno("memfd_create");
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  while (true) {
    const Result<> written = WriteAll(fd.get(), bytes.substr(0, kPieceBytes));
    if (!written) co_return tl::unexpected<Error>(written.error());
    bytes.remove_prefix(std::min(bytes.size(), kPieceBytes));
    if (bytes.empty()) break;
    co_await asio::post(executor, asio::use_awaitable);
  }
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) co_return FailErrno("seal a memfd");
  co_return fd;
}

Awaitable<std::string> ReadBodyFile(int fd, uint64_t bytes, uint64_t limit_bytes) {
  CO_TRY(CheckFile(fd, bytes, limit_bytes));
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  std::string content;
  content.reserve(bytes);
  while (content.size() < bytes) {
    const size_t filled = content.size();
    content.resize(std::min<uint64_t>(bytes, filled + kPieceBytes));
    const ssize_t got =
        ::pread(fd, content.data() + filled, content.size() - filled, static_cast<off_t>(filled));
    if (got <= 0) co_return FailErrno("read a response");
    content.resize(filled + static_cast<size_t>(got));
    if (content.size() < bytes) co_await asio::post(executor, asio::use_awaitable);
  }
  co_return content;
}

}  // namespace hybridserve

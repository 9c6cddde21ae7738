#include "launcher/server_link.h"

#include <utility>

#include "base/log.h"
#include "ipc/seqpacket.h"

namespace hybridserve::launcher {

Result<> ServerLink::Open(UniqueFd socket) {
  Close();
  ++generation_;
  warned_ = false;
  socket_ = std::move(socket);
  buffer_.resize(ipc::kMaxDatagramBytes);
  return loop_.Watch(socket_.get(), EventLoop::Interest::kRead, [this] { Read(); });
}

void ServerLink::Close() {
  if (!socket_) return;
  loop_.Forget(socket_.get());
  socket_.Reset();
  queue_.clear();
}

void ServerLink::Answer(uint64_t generation, uint64_t id, const Result<std::string>& result,
                        std::vector<UniqueFd> fds) {
  if (generation != generation_) return;
  ipc::Writer out;
  PutHeader(out, Verb::kAnswer, id);
  PutStatus(out, result ? Result<>() : tl::unexpected(result.error()));
  Push({out.Take() + (result ? *result : std::string()), std::move(fds)});
}

void ServerLink::SendEvent(Verb verb, const std::string& body) {
  ipc::Writer out;
  PutHeader(out, verb, 0);
  Push({out.Take() + body, {}});
}

void ServerLink::Read() {
  auto received = ipc::Receive(socket_.get(), buffer_, ipc::Wait::kDont);
  if (!received) {
    if (received.error().code != Code::kUnavailable && !std::exchange(warned_, true)) {
      spdlog::warn("the server's socket: {}", received.error().message);
    }
    return;
  }
  if (received->size == 0) return Close();
  ipc::Reader reader(std::string_view(buffer_).substr(0, received->size));
  const auto header = GetHeader(reader);
  if (!header) {
    if (!std::exchange(warned_, true)) {
      spdlog::warn("the server sent {} bytes that are no request", received->size);
    }
    return;
  }
  on_request_(*header, reader, std::move(received->fds));
}

void ServerLink::Push(Outgoing message) {
  if (!socket_) return;
  if (queue_.empty()) {
    const auto sent = SendNow(message);
    if (sent || sent.error().code != Code::kUnavailable) return;
    Await(EventLoop::Interest::kWrite);
  }
  queue_.push_back(std::move(message));
}

void ServerLink::Flush() {
  while (!queue_.empty()) {
    const auto sent = SendNow(queue_.front());
    if (!sent && sent.error().code == Code::kUnavailable) return;
    queue_.pop_front();
  }
  Await(EventLoop::Interest::kRead);
}

Result<> ServerLink::SendNow(const Outgoing& message) {
  std::vector<int> fds;
  for (const UniqueFd& fd : message.fds) fds.push_back(fd.get());
  const auto sent = ipc::Send(socket_.get(), message.bytes, fds, ipc::Wait::kDont);
  if (!sent && sent.error().code != Code::kUnavailable) {
    spdlog::warn("an answer to the server is lost: {}", sent.error().message);
  }
  return sent;
}

// Either reads requests or writes answers, never both: a server that does not take its answers is
// not asked for more.
void ServerLink::Await(EventLoop::Interest interest) {
  loop_.Forget(socket_.get());
  if (interest == EventLoop::Interest::kRead) {
    (void)loop_.Watch(socket_.get(), interest, [this] { Read(); });
  } else {
    (void)loop_.Watch(socket_.get(), interest, [this] { Flush(); });
  }
}

}  // namespace hybridserve::launcher

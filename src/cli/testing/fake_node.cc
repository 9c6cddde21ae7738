#include "cli/testing/fake_node.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>

namespace hybridserve::cli {
namespace {

UniqueFd ListenOnUnix(const std::filesystem::path& path) {
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), 16) != 0) {
    std::abort();
  }
  return listener;
}

UniqueFd ListenOnTcp(uint16_t& port) {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener.get(), 16) != 0 ||
      ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port = ntohs(address.sin_port);
  return listener;
}

size_t ContentLength(const std::string& head) {
  const size_t at = head.find("Content-Length: ");
  return at == std::string::npos ? 0 : std::strtoul(head.c_str() + at + 16, nullptr, 10);
}

}  // namespace

FakeNode::FakeNode() {
  std::filesystem::create_directory(folder_.path() / "server");
  unix_listener_ = ListenOnUnix(folder_.path() / "server/admin.sock");
  tcp_listener_ = ListenOnTcp(port_);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
  stop_reader_.Reset(ends[0]);
  stop_writer_.Reset(ends[1]);
  thread_ = std::thread([this] { Serve(); });
}

FakeNode::~FakeNode() {
  stop_writer_.Reset();
  thread_.join();
}

std::string FakeNode::address() const { return "127.0.0.1:" + std::to_string(port_); }

void FakeNode::Answer(const std::string& what, int status, const std::string& body,
                      const std::string& headers) {
  AnswerRaw(what, "HTTP/1.1 " + std::to_string(status) + " Status\r\n" + headers +
                      "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

void FakeNode::AnswerRaw(const std::string& what, const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  answers_[what] = bytes;
}

std::vector<FakeNode::Request> FakeNode::Requests() {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void FakeNode::Serve() {
  std::array<pollfd, 3> waiting = {{{unix_listener_.get(), POLLIN, 0},
                                    {tcp_listener_.get(), POLLIN, 0},
                                    {stop_reader_.get(), POLLIN, 0}}};
  while (::poll(waiting.data(), waiting.size(), -1) > 0 && waiting[2].revents == 0) {
    for (size_t i = 0; i < 2; ++i) {
      if (waiting[i].revents == 0) continue;
      const UniqueFd socket(::accept4(waiting[i].fd, nullptr, nullptr, SOCK_CLOEXEC));
      if (socket) ServeOne(socket.get());
    }
  }
}

void FakeNode::ServeOne(int socket) {
  std::string bytes;
  std::array<char, 65536> piece{};
  const auto fill = [&] {
    const ssize_t got = ::recv(socket, piece.data(), piece.size(), 0);
    if (got > 0) bytes.append(piece.data(), static_cast<size_t>(got));
    return got > 0;
  };
  size_t end = std::string::npos;
  while ((end = bytes.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) return;
  }
  Request request;
  request.head = bytes.substr(0, end + 2);
  bytes.erase(0, end + 4);
  const size_t size = ContentLength(request.head);
  while (bytes.size() < size && fill()) {
  }
  request.body = bytes;
  const std::string line = request.head.substr(0, request.head.find("\r\n"));
  request.method = line.substr(0, line.find(' '));
  request.target = line.substr(line.find(' ') + 1, line.rfind(' ') - line.find(' ') - 1);

  std::string answer = "HTTP/1.1 500 Unexpected\r\nContent-Length: 0\r\n\r\n";
  {
    const std::lock_guard lock(mutex_);
    const auto known = answers_.find(request.method + " " + request.target);
    if (known != answers_.end()) answer = known->second;
    requests_.push_back(std::move(request));
  }
  (void)WriteAll(socket, answer);
}

}  // namespace hybridserve::cli

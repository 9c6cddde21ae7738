// The native build's: a connection to the proxy that HTTP_PROXY names, "http://ADDRESS:PORT".
#include "proxy_stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "syntax.h"

namespace hs::internal {
namespace {

constexpr std::string_view kScheme = "http://";

bool ParseProxy(std::string_view url, sockaddr_in& address) {
  if (!url.starts_with(kScheme)) return false;
  url.remove_prefix(kScheme.size());
  if (url.ends_with('/')) url.remove_suffix(1);
  size_t colon = url.find(':');
  uint64_t port = 0;
  if (colon == std::string_view::npos || !ParseNumber(url.substr(colon + 1), 10, port)) return false;
  if (port == 0 || port > UINT16_MAX) return false;
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  return ::inet_pton(AF_INET, std::string(url.substr(0, colon)).c_str(), &address.sin_addr) == 1;
}

}  // namespace

ProxyStream::ProxyStream() {
  const char* proxy = std::getenv("HTTP_PROXY");
  if (proxy == nullptr) {
    error_ = "the function has no network; name the host in [network] allow of its manifest";
    return;
  }
  sockaddr_in address{};
  if (!ParseProxy(proxy, address)) {
    error_ = "HTTP_PROXY is '" + std::string(proxy) + "'; it must be http://ADDRESS:PORT";
    return;
  }
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0 || ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    error_ = "cannot connect to the proxy " + std::string(proxy) + ": " + std::strerror(errno);
  }
}

ProxyStream::~ProxyStream() {
  if (fd_ >= 0) ::close(fd_);
}

bool ProxyStream::IsKept() { return false; }

bool ProxyStream::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

size_t ProxyStream::Read(char* bytes, size_t size) {
  ssize_t got = -1;
  do {
    got = ::recv(fd_, bytes, size, 0);
  } while (got < 0 && errno == EINTR);
  return got > 0 ? static_cast<size_t>(got) : 0;
}

void ProxyStream::Spoil() { ::shutdown(fd_, SHUT_RDWR); }

}  // namespace hs::internal

// The Wasm build's: one connected stream socket an instance, made before it starts.
#include "proxy_stream.h"

#include <unistd.h>

#include <cstdlib>

namespace hs::internal {
namespace {

constexpr const char* kVariable = "HYBRIDSERVE_PROXY_FD";
bool g_spoiled = false;  // An instance has one thread and serves one request.

}  // namespace

ProxyStream::ProxyStream() {
  const char* number = std::getenv(kVariable);
  if (number == nullptr) {
    error_ = "the function has no network; name the host in [network] allow of its manifest";
  } else if (g_spoiled) {
    error_ = "an earlier request has broken the function's connection to the node's proxy";
  } else {
    fd_ = std::atoi(number);
  }
}

ProxyStream::~ProxyStream() = default;

bool ProxyStream::IsKept() { return true; }

bool ProxyStream::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

size_t ProxyStream::Read(char* bytes, size_t size) {
  ssize_t got = ::read(fd_, bytes, size);
  return got > 0 ? static_cast<size_t>(got) : 0;
}

void ProxyStream::Spoil() {
  g_spoiled = true;
  ::close(fd_);
}

}  // namespace hs::internal

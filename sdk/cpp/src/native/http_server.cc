#include "native/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "native/connection.h"

namespace hs::internal {
namespace {

constexpr int kMostThreads = 1024;
/// The same on every C library (musl's default is 128 KiB). Only touched pages count.
constexpr size_t kStackBytes = 8u << 20;
constexpr int kBacklog = 4096;

/// accept() failures that pass when other connections end.
bool IsShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/// accept() failures of the one connection that was waiting (accept(2), "Error handling").
bool IsOfConnection(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

}  // namespace

uint16_t HttpServer::Listen(uint16_t port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener_ < 0) return 0;
  // Accepted connections inherit TCP_NODELAY.
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, kBacklog) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return 0;
  }
  return ntohs(address.sin_port);
}

void HttpServer::Run() {
  for (;; ++accepting_) {
    int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    int error = errno;
    bool last = --accepting_ == 0;
    if (client >= 0) {
      if (last) StartSuccessor();
      Connection(*this, client).Serve();
    } else if (IsShortage(error)) {
      poll(nullptr, 0, 10);
    } else if (!IsOfConnection(error)) {
      errno = error;
      return;
    }
  }
}

void HttpServer::StartSuccessor() {
  if (threads_.fetch_add(1) >= kMostThreads) {
    --threads_;
    return;
  }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  auto run = [](void* server) -> void* {
    static_cast<HttpServer*>(server)->Run();
    return nullptr;
  };
  ++accepting_;
  if (pthread_create(&thread, &attributes, run, this) != 0) {
    // The container's limit of processes: this thread accepts again after the connection it has.
    --threads_;
    --accepting_;
  }
  pthread_attr_destroy(&attributes);
}

void HttpServer::OnRequestDone() {
  if (--running_ == 0 && stopping_) _exit(0);
}

void HttpServer::Stop() {
  stopping_ = true;
  if (running_ == 0) _exit(0);
}

}  // namespace hs::internal

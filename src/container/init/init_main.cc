// hybridserve-init: PID 1 of an image whose program reads standard input and writes standard
// output.
//
//   PORT=8080 hybridserve-init PROGRAM [ARGUMENT...]
//
// Serves HTTP/1.1 on 0.0.0.0:$PORT and runs PROGRAM once per request, by the CGI contract
// (session.h). Reaps what its programs leave behind. Ends on SIGTERM.
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "container/init/children.h"
#include "container/init/session.h"

namespace hybridserve::init {
namespace {

constexpr int kBacklog = 1024;
constexpr int kMaxConnections = 2048;
constexpr size_t kStackBytes = 512 * 1024;

/// What every connection's thread shares. Lives as long as the process.
struct Server {
  Children children;
  std::vector<std::string> argv;
  int listener = -1;
  std::atomic<int> connections = 0;
};

struct Accepted {
  Server& server;
  UniqueFd socket;
};

bool StartThread(void* (*run)(void*), void* argument) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread{};
  const int error = pthread_create(&thread, &attributes, run, argument);
  pthread_attr_destroy(&attributes);
  return error == 0;
}

void* ServeConnection(void* argument) {
  const std::unique_ptr<Accepted> accepted(static_cast<Accepted*>(argument));
  Session session(std::move(accepted->socket), accepted->server.children, accepted->server.argv);
  session.Run();
  --accepted->server.connections;
  return nullptr;
}

void* AcceptConnections(void* argument) {
  Server& server = *static_cast<Server*>(argument);
  while (true) {
    UniqueFd socket(accept4(server.listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) usleep(1000);
      continue;
    }
    if (server.connections >= kMaxConnections) continue;
    ++server.connections;
    auto accepted = std::make_unique<Accepted>(Accepted{server, std::move(socket)});
    if (StartThread(ServeConnection, accepted.get())) {
      (void)accepted.release();  // The thread's now.
    } else {
      --server.connections;
    }
  }
}

int Listen(uint16_t port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener, kBacklog) != 0) {
    std::fprintf(stderr, "hybridserve-init: cannot listen on port %u: %s\n", port,
                 std::strerror(errno));
    return -1;
  }
  return listener;
}

int Usage(const char* what) {
  std::fprintf(stderr,
               "hybridserve-init: %s\n"
               "usage: PORT=8080 hybridserve-init PROGRAM [ARGUMENT...]\n",
               what);
  return 2;
}

int Run(int argc, char** argv) {
  const char* text = std::getenv("PORT");
  uint16_t port = 0;
  if (text == nullptr) return Usage("PORT is not set");
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), port);
  if (error != std::errc() || *end != '\0' || port == 0) return Usage("PORT is not a port number");
  if (argc < 2) return Usage("no program is named");

  // Threads and programs inherit the mask; programs get an empty one.
  sigset_t waited;
  sigemptyset(&waited);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&waited, signal);
  pthread_sigmask(SIG_BLOCK, &waited, nullptr);
  signal(SIGPIPE, SIG_IGN);

  static Server server;
  server.argv.assign(argv + 1, argv + argc);
  server.listener = Listen(port);
  if (server.listener < 0) return 1;
  if (!StartThread(AcceptConnections, &server)) return Usage("cannot start a thread");
  while (true) {
    const int signal = sigwaitinfo(&waited, nullptr);
    if (signal == SIGCHLD) server.children.Reap();
    if (signal == SIGTERM || signal == SIGINT) _exit(0);
  }
}

}  // namespace
}  // namespace hybridserve::init

int main(int argc, char** argv) { return hybridserve::init::Run(argc, argv); }

// main of the native build: an HTTP server when PORT is set, else CGI on stdin and stdout.
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cgi.h"
#include "native/http_server.h"

namespace {

using hs::internal::HttpServer;

/// Constant-initialised; lives as long as the process, since its threads do.
HttpServer server(&Handle);

/// Exit statuses: 2 for a wrong PORT, 1 when the server cannot run.
int Serve(const char* port_text) {
  uint16_t port = 0;
  const char* end = port_text + std::strlen(port_text);
  auto [stop, error] = std::from_chars(port_text, end, port);
  if (error != std::errc() || stop != end) {
    std::fprintf(stderr, "PORT is \"%s\"; set it to a number from 0 to 65535\n", port_text);
    return 2;
  }
  // A log line must not wait in a buffer, and a closed log must not end the function.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGTERM, [](int) { server.Stop(); });
  std::signal(SIGINT, [](int) { server.Stop(); });
  uint16_t bound = server.Listen(port);
  if (bound == 0) {
    std::fprintf(stderr, "cannot listen on port %u: %s\n", unsigned{port}, std::strerror(errno));
    return 1;
  }
  if (port == 0) std::fprintf(stderr, "listening on port %u\n", unsigned{bound});
  server.Run();
  std::fprintf(stderr, "cannot accept connections: %s\n", std::strerror(errno));
  return 1;
}

}  // namespace

int main() {
  const char* port = std::getenv("PORT");
  if (port != nullptr && *port != '\0') return Serve(port);
  return hs::internal::ServeCgi(&Handle, environ, STDIN_FILENO, STDOUT_FILENO);
}

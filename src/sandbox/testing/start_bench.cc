// Measures container starts: from nothing (cold) and from a held sandbox to the first byte of the
// probe's HTTP server. Usage: sandbox_start_bench [ROUNDS]. Prints medians in milliseconds.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "sandbox/testing/container_rig.h"

namespace hybridserve::sandbox {
namespace {

using Clock = std::chrono::steady_clock;

double Milliseconds(Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

bool Request(Container& container) {
  for (int attempt = 0; attempt < 5000; ++attempt) {
    auto sockets = container.MakeSockets(1);
    if (!sockets) return false;
    const int fd = (*sockets)[0].get();
    ::fcntl(fd, F_SETFL, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(8080);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
      char byte = 0;
      return ::send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL) == 18 &&
             ::recv(fd, &byte, 1, 0) == 1;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return false;
}

void Print(const char* name, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  std::printf("%-24s median %.2f  min %.2f  p95 %.2f ms\n", name, values[values.size() / 2],
              values[0], values[values.size() * 95 / 100]);
}

int Bench(int rounds) {
  auto rig = ContainerRig::Make();
  if (!rig) return std::fprintf(stderr, "%s\n", rig.error().message.c_str()), 1;
  std::vector<double> create, start, held, cold, destroy;
  for (int i = 0; i < rounds; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const auto began = Clock::now();
    auto container = (*rig)->Create();
    if (!container || !ContainerRig::Await(**container, Container::State::kHeld)) return 1;
    const auto prepared = Clock::now();
    const auto log = (*rig)->Start(**container, ContainerRig::Program({"/probe", "serve", "8080"}),
                                   {.memory_bytes = 64u << 20, .pids = 16});
    if (!log || !ContainerRig::Await(**container, Container::State::kRunning)) return 1;
    const auto running = Clock::now();
    if (!Request(**container)) return 1;
    const auto answered = Clock::now();
    (*rig)->Destroy(std::move(*container));
    create.push_back(Milliseconds(prepared - began));
    start.push_back(Milliseconds(running - prepared));
    held.push_back(Milliseconds(answered - prepared));
    cold.push_back(Milliseconds(answered - began));
    destroy.push_back(Milliseconds(Clock::now() - answered));
  }
  Print("create until held", create);
  Print("start until exec", start);
  Print("held to first byte", held);
  Print("cold to first byte", cold);
  Print("destroy", destroy);
  return 0;
}

}  // namespace
}  // namespace hybridserve::sandbox

int main(int argc, char** argv) {
  return hybridserve::sandbox::Bench(argc > 1 ? std::max(1, std::atoi(argv[1])) : 100);
}

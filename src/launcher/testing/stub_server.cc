// Plays hybridserve-server in the launcher's tests: hands the launcher's socket to the test that
// listens on the abstract unix address argv[1], and does what the test then says, one byte each:
//   'c' ends by a signal   '0'..'9' exits with that status
// SIGTERM ends it with status 0.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include "ipc/seqpacket.h"

int main(int argc, char** argv) {
  namespace ipc = hybridserve::ipc;
  if (argc < 2) return 2;
  std::signal(SIGTERM, [](int) { ::_exit(0); });
  const char* number = std::getenv("HYBRIDSERVE_LAUNCHER_FD");
  if (number == nullptr) return 2;
  const int test = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path + 1, argv[1], sizeof(address.sun_path) - 2);
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + std::strlen(argv[1]));
  if (::connect(test, reinterpret_cast<sockaddr*>(&address), size) != 0) return 2;
  const int launcher = std::atoi(number);
  const std::string facts = std::to_string(::getpid()) + " " + std::to_string(::getuid());
  if (!ipc::Send(test, facts, {&launcher, 1}, ipc::Wait::kBlock)) return 2;
  std::array<char, 16> command{};
  const auto received = ipc::Receive(test, command, ipc::Wait::kBlock);
  if (!received || received->size == 0) ::pause();
  if (command[0] == 'c') std::raise(SIGSEGV);
  return command[0] - '0';
}

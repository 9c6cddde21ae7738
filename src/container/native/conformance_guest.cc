// The program inside the containers of the runtime suite, linked statically: an image with nothing
// but this file runs it.
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

void Say(int fd, const std::string& text) {
  if (::write(fd, text.data(), text.size()) < 0) ::_exit(99);
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int Listen() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(Variable("PORT").c_str())));
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 64) != 0) {
    std::perror("listen");
    ::_exit(98);
  }
  return listener;
}

// Uses memory until it is killed.
void EatMemory() {
  for (;;) {
    constexpr size_t kPiece = 1 << 20;
    char* piece = static_cast<char*>(std::malloc(kPiece));
    if (piece == nullptr) ::_exit(97);
    std::memset(piece, 1, kPiece);
    asm volatile("" : : "r"(piece) : "memory");
  }
}

// Connects to a port of its own and sends a word; the connection stays.
void Knock(uint16_t port) {
  const int knocking = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(knocking, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    Say(knocking, "knock");
  }
}

// Starts threads that wait, until it may not; how many that were.
int StartManyThreads() {
  constexpr int kMost = 200;
  const auto wait = [](void*) -> void* {
    for (;;) ::pause();
  };
  for (int count = 0; count < kMost; ++count) {
    pthread_t thread{};
    if (::pthread_create(&thread, nullptr, wait, nullptr) != 0) return count;
  }
  return kMost;
}

int64_t Milliseconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Computes for `wall` milliseconds; how many of these it got the processor for.
int64_t Burn(int64_t wall) {
  const int64_t began = Milliseconds(CLOCK_MONOTONIC);
  const int64_t used = Milliseconds(CLOCK_PROCESS_CPUTIME_ID);
  while (Milliseconds(CLOCK_MONOTONIC) < began + wall) {
  }
  return Milliseconds(CLOCK_PROCESS_CPUTIME_ID) - used;
}

void SayAnswer(int connection, const std::string& body) {
  Say(connection, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

// Reads what one connection has; false at its end.
bool Answer(int connection) {
  char bytes[4096];
  const ssize_t size = ::read(connection, bytes, sizeof bytes);
  if (size <= 0) return false;
  const std::string_view request(bytes, static_cast<size_t>(size));
  if (request.starts_with("GET /exit ")) ::_exit(7);
  if (request.starts_with("GET /eat ")) EatMemory();
  constexpr std::string_view kKnock = "GET /knock/";
  if (request.starts_with(kKnock)) {
    Knock(static_cast<uint16_t>(std::atoi(std::string(request.substr(kKnock.size())).c_str())));
  }
  if (request.starts_with("GET /threads ")) {
    SayAnswer(connection, std::to_string(StartManyThreads()));
  } else if (request.starts_with("GET /burn ")) {
    SayAnswer(connection, std::to_string(Burn(400)));
  } else {
    SayAnswer(connection, "hello");
  }
  return true;
}

// A program of several threads can be run, too.
void StartThread() {
  pthread_t thread{};
  const auto nothing = [](void*) -> void* { return nullptr; };
  if (::pthread_create(&thread, nullptr, nothing, nullptr) != 0) ::_exit(96);
  ::pthread_join(thread, nullptr);
}

[[noreturn]] void Serve() {
  StartThread();
  std::vector<pollfd> watched{{Listen(), POLLIN, 0}};
  for (;;) {
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;
    for (size_t i = watched.size() - 1; i > 0; --i) {
      if (watched[i].revents == 0 || Answer(watched[i].fd)) continue;
      ::close(watched[i].fd);
      watched.erase(watched.begin() + static_cast<long>(i));
    }
    if (watched[0].revents != 0) {
      const int connection = ::accept(watched[0].fd, nullptr, nullptr);
      if (connection >= 0) watched.push_back({connection, POLLIN, 0});
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "serve") Serve();
  if (command == "speak") {
    Say(1, "PORT=" + Variable("PORT") + "\n");
    Say(2, "GREETING=" + Variable("GREETING") + "\n");
  } else if (command == "exit") {
    Say(1, "out\n");
    Say(2, "err\n");
    return 3;
  } else if (command != "never-listen") {
    return 96;
  }
  for (;;) ::pause();
}

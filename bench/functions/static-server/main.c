// The smallest useful container: an HTTP/1.1 server on $PORT that gives every request the same
// answer. One thread and poll(), so that what is measured is the way to it.
// Contract: docs/function-contract.md. Requests have no body.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kMaxConnections = 256, kMaxHead = 16384 };

static const char kAnswer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n\r\nhello from a "
    "server\n";

static struct pollfd polled[kMaxConnections + 1];  // [0] listens.
static char heads[kMaxConnections + 1][kMaxHead];
static size_t head_bytes[kMaxConnections + 1];
static int count = 1;

static void Drop(int i) {
  close(polled[i].fd);
  --count;
  polled[i] = polled[count];
  memcpy(heads[i], heads[count], head_bytes[count]);
  head_bytes[i] = head_bytes[count];
}

static void Accept(void) {
  const int fd = accept(polled[0].fd, NULL, NULL);
  if (fd < 0) return;
  if (count > kMaxConnections) {
    close(fd);
    return;
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  polled[count] = (struct pollfd){.fd = fd, .events = POLLIN};
  head_bytes[count] = 0;
  ++count;
}

// Answers every whole head that has come. Returns 0 when the connection is over.
static int Serve(int i) {
  char* const head = heads[i];
  const ssize_t got = recv(polled[i].fd, head + head_bytes[i], kMaxHead - head_bytes[i], 0);
  if (got <= 0) return 0;
  head_bytes[i] += (size_t)got;
  for (;;) {
    char* const end = memmem(head, head_bytes[i], "\r\n\r\n", 4);
    if (end == NULL) return head_bytes[i] < kMaxHead;
    if (send(polled[i].fd, kAnswer, sizeof kAnswer - 1, MSG_NOSIGNAL) < 0) return 0;
    const size_t used = (size_t)(end + 4 - head);
    head_bytes[i] -= used;
    memmove(head, head + used, head_bytes[i]);
  }
}

int main(void) {
  const char* const port = getenv("PORT");
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((unsigned short)(port ? atoi(port) : 8080)),
                                      .sin_addr.s_addr = htonl(INADDR_ANY)};
  if (fd < 0 || bind(fd, (const struct sockaddr*)&address, sizeof address) != 0 ||
      listen(fd, 1024) != 0) {
    perror("static-server: listen");
    return 1;
  }
  polled[0] = (struct pollfd){.fd = fd, .events = POLLIN};
  for (;;) {
    if (poll(polled, (nfds_t)count, -1) < 0 && errno != EINTR) return 1;
    for (int i = count - 1; i > 0; --i) {
      if (polled[i].revents != 0 && !Serve(i)) Drop(i);
    }
    if (polled[0].revents != 0) Accept();
  }
}

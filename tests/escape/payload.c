// The native payload: runs every attempt inside a sandbox. Test only.
//
//   with PORT set     an HTTP server; the body of a POST is lines NAME=VALUE for the environment,
//   and
//                     the answer is what the attempts came to
//   without           prints that once
//
// It refuses to try anything where it is not PID 1: outside a sandbox some attempts would work.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attempts.h"

static void SetVariables(char* lines) {
  char* rest = lines;
  for (char* line; (line = strsep(&rest, "\n")) != NULL;) {
    char* value = strchr(line, '=');
    if (value == NULL || strncmp(line, "ESCAPE_", 7) != 0) continue;
    *value = '\0';
    setenv(line, value + 1, 1);
  }
}

static void Answer(FILE* client, int connection) {
  static char body[65536];
  char line[8192];
  size_t length = 0;
  int asked = 0;
  while (fgets(line, sizeof(line), client) != NULL && line[0] != '\r') {
    if (strncmp(line, "POST", 4) == 0) asked = 1;
    if (strncasecmp(line, "content-length:", 15) == 0) length = strtoul(line + 15, NULL, 10);
  }
  length = fread(body, 1, length < sizeof(body) ? length : sizeof(body) - 1, client);
  body[length] = '\0';
  SetVariables(body);
  char* text = NULL;
  size_t size = 0;
  FILE* memory = open_memstream(&text, &size);
  if (memory == NULL) return;
  if (asked) RunAttempts(kContainer, memory);
  fclose(memory);
  dprintf(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", size,
          text);
  free(text);
}

static int Serve(unsigned short port) {
  signal(SIGPIPE, SIG_IGN);
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (bind(listener, (const struct sockaddr*)&address, sizeof(address)) != 0 ||
      listen(listener, 16) != 0) {
    perror("listen");
    return 1;
  }
  for (;;) {
    const int connection = accept(listener, NULL, NULL);
    if (connection < 0) continue;
    FILE* client = fdopen(connection, "r");
    if (client == NULL) return 1;
    Answer(client, connection);
    fclose(client);
  }
}

int main(void) {
  NoteInheritedDescriptors(2);
  if (getpid() != 1) {
    fprintf(stderr, "payload: not PID 1, so not in a sandbox: nothing is tried here\n");
    return 2;
  }
  const char* port = getenv("PORT");
  if (port != NULL) return Serve((unsigned short)atoi(port));
  RunAttempts(kContainer, stdout);
  return 0;
}

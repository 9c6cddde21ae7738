/* A CGI program (RFC 3875): the request comes by environment and standard input, the answer goes to
 * standard output. Needs nothing but a C library. */
#include <stdio.h>
#include <stdlib.h>

static const char* variable(const char* name) {
  const char* value = getenv(name);
  return value != NULL ? value : "";
}

int main(void) {
  printf("Content-Type: text/plain\r\n\r\n");

  /* Exactly CONTENT_LENGTH bytes of standard input are the request's body. */
  long left = atol(variable("CONTENT_LENGTH"));
  if (left <= 0) {
    printf("Hello, world! You asked for %s\n", variable("PATH_INFO"));
    return 0;
  }
  printf("Hello, ");
  char piece[4096];
  while (left > 0) {
    size_t want = left < (long)sizeof piece ? (size_t)left : sizeof piece;
    size_t got = fread(piece, 1, want, stdin);
    if (got == 0) return 1;
    fwrite(piece, 1, got, stdout);
    left -= (long)got;
  }
  printf("!\n");
  return 0;
}

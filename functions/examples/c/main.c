/* Counts lines, words and bytes of the request's body, as wc does. A plain CGI program (RFC 3875) that
 * needs nothing but a C library. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  const char* length = getenv("CONTENT_LENGTH");
  long long left = length != NULL ? atoll(length) : 0;
  long long lines = 0, words = 0, bytes = 0;
  int in_word = 0;
  for (; left > 0; --left) {
    const int c = getchar();
    if (c == EOF) return 1; /* The body was cut off. */
    ++bytes;
    if (c == '\n') ++lines;
    const int is_space = isspace(c) != 0;
    if (!is_space && !in_word) ++words;
    in_word = !is_space;
  }
  printf("Content-Type: application/json\r\n\r\n");
  printf("{\"lines\":%lld,\"words\":%lld,\"bytes\":%lld}\n", lines, words, bytes);
  return 0;
}

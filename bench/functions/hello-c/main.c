// The smallest useful function: reads the request's body and answers with a greeting.
// Contract: CGI (docs/function-contract.md).
#include <stdio.h>

int main(void) {
  char body[4096];
  const size_t bytes = fread(body, 1, sizeof body, stdin);
  printf("Content-Type: text/plain\r\n\r\nhello, ");
  if (bytes == 0) {
    printf("world");
  } else {
    fwrite(body, 1, bytes, stdout);
  }
  printf("\n");
  return 0;
}

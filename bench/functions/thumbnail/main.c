// A function of the size that real ones have, about 100 KB of Wasm: it decodes an image with
// stb_image and answers with its size and mean colour. What is measured is its deployment.
// Contract: CGI (docs/function-contract.md).
#include <stdio.h>
#include <stdlib.h>

#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_PIC
#define STBI_NO_PSD
#include "stb_image.h"

enum { kMaxBody = 4 << 20 };

static unsigned char* ReadBody(size_t* bytes) {
  unsigned char* const body = malloc(kMaxBody);
  *bytes = body == NULL ? 0 : fread(body, 1, kMaxBody, stdin);
  return body;
}

int main(void) {
  size_t bytes = 0;
  unsigned char* const body = ReadBody(&bytes);
  int width = 0, height = 0;
  unsigned char* const pixels = stbi_load_from_memory(body, (int)bytes, &width, &height, NULL, 3);
  if (pixels == NULL) {
    printf("Status: 415\r\nContent-Type: text/plain\r\n\r\nnot an image: %s\n",
           stbi_failure_reason());
    return 0;
  }
  double sum[3] = {0, 0, 0};
  const size_t count = (size_t)width * (size_t)height;
  for (size_t i = 0; i < count * 3; ++i) sum[i % 3] += pixels[i];
  printf("Content-Type: text/plain\r\n\r\n%d x %d, mean colour %.1f %.1f %.1f\n", width, height,
         sum[0] / (double)count, sum[1] / (double)count, sum[2] / (double)count);
  return 0;
}

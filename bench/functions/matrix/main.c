// Numbers: multiplies two 300 x 300 matrices of doubles and answers with the product's trace.
// Contract: CGI (docs/function-contract.md).
#include <stdio.h>

enum { kSize = 300 };

static double a[kSize][kSize], b[kSize][kSize], product[kSize][kSize];

int main(void) {
  unsigned state = 1;
  for (int i = 0; i < kSize; ++i) {
    for (int j = 0; j < kSize; ++j) {
      state = state * 1103515245u + 12345u;
      a[i][j] = (double)(state >> 16) / 65536.0;
      b[j][i] = a[i][j] - 0.5;
    }
  }
  for (int i = 0; i < kSize; ++i) {
    for (int k = 0; k < kSize; ++k) {
      for (int j = 0; j < kSize; ++j) product[i][j] += a[i][k] * b[k][j];
    }
  }
  double trace = 0;
  for (int i = 0; i < kSize; ++i) trace += product[i][i];
  printf("Content-Type: text/plain\r\n\r\ntrace %.6f\n", trace);
  return 0;
}

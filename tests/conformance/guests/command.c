// A command in C: prints the same as command.cc.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMaxWords = 64, kMaxLength = 63 };

int main(int count, char **values) {
  static struct {
    char text[kMaxLength + 1];
    int times;
  } words[kMaxWords];
  char word[kMaxLength + 1];
  int total = 0;
  int different = 0;
  int most = -1;
  for (; scanf("%63s", word) == 1; ++total) {
    int at = 0;
    while (at < different && strcmp(words[at].text, word) != 0) ++at;
    if (at == kMaxWords) return 1;
    if (at == different) strcpy(words[different++].text, word);
    ++words[at].times;
  }
  for (int at = 0; at < different; ++at) {
    if (most < 0 || words[at].times > words[most].times) most = at;
  }
  const char *name = getenv("NAME");
  printf("C for %s\n", name != NULL ? name : "nobody");
  for (int i = 1; i < count; ++i) printf("argument %s\n", values[i]);
  printf("%d words, %d different\n", total, different);
  if (most >= 0) printf("most: %s\n", words[most].text);
  return 5;
}

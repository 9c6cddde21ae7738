// hybridserve-pause: what keeps a held network alive in Docker Engine: it waits until it is killed.
#include <unistd.h>

int main() {
  for (;;) ::pause();
}

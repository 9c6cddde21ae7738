// main of the Wasm build: a fresh instance serves one request by CGI.
#include <unistd.h>

#include "cgi.h"

extern char** environ;

int main() { return hs::internal::ServeCgi(&Handle, environ, STDIN_FILENO, STDOUT_FILENO); }

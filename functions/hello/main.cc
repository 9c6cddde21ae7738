// The smallest function: says hello to ?name=.
#include <hybridserve/function.h>

hs::Response Handle(const hs::Request& request) {
  return hs::Response::Text("Hello, " + request.ParameterOr("name", "world") + "!\n");
}

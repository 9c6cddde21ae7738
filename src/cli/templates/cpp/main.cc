#include <hybridserve/function.h>

// Called for each request: once in a fresh Wasm instance, from several threads at once in the
// container. The whole interface is in hybridserve/function.h.
hs::Response Handle(const hs::Request& request) {
  std::string name = request.body.empty() ? request.ParameterOr("name", "world") : request.body;
  return hs::Response::Text("Hello, " + name + "!\n");
}

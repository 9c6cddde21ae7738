// Routing from arbitrary bytes: the target and the Host, separated by a line feed.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "function/manifest.h"
#include "gateway/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = input.find('\n');
  const std::string_view target = input.substr(0, line);

  if (line != std::string_view::npos) {
    std::string host;
    if (hybridserve::ParseHost(input.substr(line + 1), host)) {
      // What is looked up is never more than was sent, and parsing it again changes nothing.
      std::string again;
      if (host.size() > input.size() || !hybridserve::ParseHost(host, again) || again != host) {
        std::abort();
      }
    }
  }
  const auto parsed = hybridserve::ParseTarget(target);
  if (!parsed) return 0;
  if (parsed->path.empty() || (parsed->path[0] != '/' && parsed->path != "*")) std::abort();
  const auto route = hybridserve::ParseFunctionPath(parsed->path);
  if (!route || !*route) return 0;
  // What leads to a function is a function's name, and the parts make up the path again.
  if (!hybridserve::CheckFunctionName((*route)->name)) std::abort();
  const std::string joined = std::string((*route)->script_name) + std::string((*route)->path);
  if (joined != parsed->path && joined != std::string(parsed->path) + "/") std::abort();
  return 0;
}

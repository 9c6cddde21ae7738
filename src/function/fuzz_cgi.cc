#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "function/cgi.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto response = hybridserve::ParseCgiResponse(bytes)) {
    if (response->body_offset > bytes.size()) std::abort();
  }
  hybridserve::RequestHead head{.method = "GET", .path = "/" + std::string(bytes)};
  head.headers.push_back({std::string(bytes.substr(0, size / 2)), std::string(bytes)});
  (void)hybridserve::CgiEnvironment(head, size, {});
  return 0;
}

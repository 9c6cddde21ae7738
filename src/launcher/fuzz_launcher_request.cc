// Any bytes as a request to the launcher: decoding neither crashes nor reads beyond them, and what
// it accepts is within its bounds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "launcher/requests.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using hybridserve::launcher::StartSandboxRequest;
  hybridserve::ipc::Reader reader(std::string_view(reinterpret_cast<const char*>(data), size));
  const auto header = hybridserve::launcher::GetHeader(reader);
  if (!header) return 0;
  const auto body = hybridserve::launcher::DecodeRequest(header->verb, reader, size % 3);
  if (!body) return 0;
  if (const auto* start = std::get_if<StartSandboxRequest>(&*body)) {
    if (start->spec.argv.empty() || start->spec.uid > 65535) std::abort();
  }
  return 0;
}

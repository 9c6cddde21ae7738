// Decodes any bytes as each message of the launcher's protocol: no crash, no unbounded memory.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "launcher/protocol.h"

namespace hl = hybridserve::launcher;

namespace {
template <typename T>
void DecodeAs(std::string_view bytes) {
  hybridserve::ipc::Reader reader(bytes);
  (void)hl::Get<T>(reader);
  (void)reader.Done();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  hybridserve::ipc::Reader reader(bytes);
  (void)hl::GetHeader(reader);
  (void)hl::GetStatus(reader);
  DecodeAs<hybridserve::ExecutorSpec>(bytes);
  DecodeAs<hybridserve::JobSpec>(bytes);
  DecodeAs<hybridserve::SandboxSpec>(bytes);
  DecodeAs<hl::OpenFolderRequest>(bytes);
  DecodeAs<hl::MakeSocketsRequest>(bytes);
  DecodeAs<hl::MakeListenerRequest>(bytes);
  DecodeAs<hybridserve::StartedExecutor>(bytes);
  DecodeAs<hybridserve::LauncherAbilities>(bytes);
  DecodeAs<hybridserve::JobResult>(bytes);
  DecodeAs<hybridserve::UnpackedImage>(bytes);
  DecodeAs<hybridserve::SandboxUsage>(bytes);
  DecodeAs<hybridserve::SandboxExit>(bytes);
  DecodeAs<std::vector<hl::AdoptedEntry>>(bytes);
  return 0;
}

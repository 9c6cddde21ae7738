// The bodies of a deploy and of a rollback, as the admin API takes them, from arbitrary bytes.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "admin/admin_json.h"
#include "base/digest.h"

using hybridserve::Code;
using hybridserve::Digest;

namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

// What is refused is the sender's fault, and says why.
void CheckError(const hybridserve::Error& error) {
  Check(error.code == Code::kInvalidArgument && !error.message.empty());
}

bool IsNoneOrDigest(const Digest& digest) {
  return digest.value.empty() || hybridserve::IsDigest(digest.value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);

  const auto deploy = hybridserve::ParseDeployRequest(body);
  if (deploy) {
    Check(hybridserve::CheckFunctionName(deploy->manifest.name.value).has_value());
    Check(deploy->manifest.wasm || deploy->manifest.container);
    // A digest becomes the name of a file.
    Check(IsNoneOrDigest(deploy->module) && IsNoneOrDigest(deploy->image));
  } else {
    CheckError(deploy.error());
  }

  const auto rollback = hybridserve::ParseRollbackRequest(body);
  if (!rollback) {
    CheckError(rollback.error());
  } else if (*rollback) {
    Check((*rollback)->value >= 1);
  }
  return 0;
}

// Image build: packs a function's static or dynamic program as a container image.
//
// Thread rule: free functions; one thread.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "cli/function_files.h"
#include "cli/progress.h"

namespace hybridserve::cli {

/// Packs `files.manifest.container->binary` as /function into `image`, on `base`: "scratch", or
/// "debian", which is made once (mmdebstrap, as root) and kept in the cache folder. With `stdio`,
/// hybridserve-init goes in and starts it once a request.
///
/// Errors: kNotFound the program is missing; kInvalidArgument a program FROM scratch needs a
/// dynamic loader; kUnsupported the Debian base cannot be made here.
Result<> BuildImage(const FunctionFiles& files, std::string_view base,
                    const std::filesystem::path& image, Progress& progress);

/// Whether the ELF program wants a dynamic loader. Errors: kInvalidArgument no ELF program.
Result<bool> NeedsLoader(const std::filesystem::path& program);

}  // namespace hybridserve::cli

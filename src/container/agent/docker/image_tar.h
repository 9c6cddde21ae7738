// ImageTar: an unpacked image of the store as a tar that Docker Engine imports.
//
// Thread rule: any thread; blocks.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/result.h"

namespace hybridserve {

/// Writes the folder `rootfs` into the file `archive`. Owners `owner_base` + N become N; the time of
/// everything is 0. Devices, pipes and sockets are left out.
/// Errors: kNotFound there is no such folder.
Result<> WriteImageTar(const std::filesystem::path& rootfs, uint32_t owner_base,
                       const std::filesystem::path& archive);

}  // namespace hybridserve

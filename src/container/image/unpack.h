// Unpack: an image archive becomes a root file system in an empty folder.
//
// Every byte comes from outside: documents are bounded JSON, every blob is checked against its
// SHA-256 and every layer against its uncompressed one, no path leaves the folder, and what it may
// grow to is limited. After an error the folder holds half an image; the caller removes it.
//
// Thread rule: one thread per archive and folder.
#pragma once

#include "base/result.h"
#include "container/image/image_config.h"
#include "container/image/layer.h"

namespace hybridserve {

/// Unpacks the archive `archive` (seekable, its file position is used) into the folder `folder` and
/// syncs the folder's file system. The caller needs the right to give files away to ids 0..65535.
///
/// Errors: kInvalidArgument what is wrong with the archive; kUnsupported it is for another machine;
/// kTooLarge a limit; kInternal, kForbidden the system refused.
Result<ImageConfig> UnpackImage(int archive, int folder, const UnpackLimits& limits);

}  // namespace hybridserve

// Linux's error numbers and file status in the words of WASI preview 1.
//
// Thread rule: pure functions.
#pragma once

#include <sys/stat.h>

#include "executors/common/wasi_abi.h"

namespace hybridserve::wasi {

Errno FromErrno(int error_number);
FileType FromMode(mode_t mode);
Filestat FromStat(const struct stat& stat);

}  // namespace hybridserve::wasi

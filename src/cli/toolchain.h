// Toolchain: what `build` exports to a function's build commands.
//
//   HYBRIDSERVE_WASM_CC, HYBRIDSERVE_WASM_CXX      compiler and flags for a WASI module (zig)
//   HYBRIDSERVE_NATIVE_CC, HYBRIDSERVE_NATIVE_CXX  compiler and flags for a program: static, or with
//                                                  the C library of its base
//   HYBRIDSERVE_WASM_SDK, HYBRIDSERVE_NATIVE_SDK   the C++ SDK's sources and include folders
//   HYBRIDSERVE_SDK                                the C++ SDK's folder
//
// Each is a list of words to be used unquoted in a shell command.
//
// Thread rule: free functions; they read the environment.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hybridserve::cli {

using Variables = std::vector<std::pair<std::string, std::string>>;

/// The variables that the build command `command` mentions, and the compiler's cache folder. `base`
/// is what a native program is to run on: "debian", or another word for nothing at all.
///
/// Errors: kUnsupported a compiler or the SDK that it mentions is not on this machine: the sentence
/// says where it was looked for and how to get it.
Result<Variables> BuildVariables(std::string_view command, std::string_view base = "");

/// ${XDG_CACHE_HOME:-~/.cache}/hybridserve.
std::filesystem::path CacheFolder();

/// The first `program` on $PATH; empty when there is none.
std::filesystem::path FindOnPath(std::string_view program);

}  // namespace hybridserve::cli

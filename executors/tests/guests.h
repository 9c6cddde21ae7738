// The guests of the executor's tests: small modules in WebAssembly text, and one C program.
//
// Thread rule: one thread; the tools are run in the foreground.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hybridserve {

/// Translates text with wat2wasm. Errors: kUnsupported the tool is missing; kInvalidArgument.
Result<std::string> FromText(std::string_view text);

/// testdata/program.c, compiled by zig once a process. Errors: kUnsupported zig is missing.
Result<std::string> CProgram();

/// A command whose body is `code`; it can call $fd_write, $fd_read, $poll_oneoff, $proc_exit and
/// $answer, which writes a CGI response of the text "ok".
std::string Command(std::string_view code, std::string_view fields = "");

}  // namespace hybridserve

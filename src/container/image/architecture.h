// This machine's architecture, in the words of the OCI image specification (Go's GOARCH).
//
// Thread rule: a constant.
#pragma once

namespace hybridserve {

#if defined(__x86_64__)
inline constexpr char kArchitecture[] = "amd64";
#elif defined(__aarch64__)
inline constexpr char kArchitecture[] = "arm64";
#else
#error "name this architecture as Go does (GOARCH)"
#endif

}  // namespace hybridserve

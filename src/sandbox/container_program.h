// ContainerProgram: what a container runs, as it travels from the launcher into a held sandbox.
//
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hybridserve::sandbox {

struct ContainerProgram {
  std::string host_name;
  std::vector<std::string> argv;  ///< argv[0] is searched in PATH when it has no slash.
  std::map<std::string, std::string> environment;
  std::string working_folder = "/";
  uint32_t uid = 0;  ///< Inside; 0..65535.
  uint32_t gid = 0;
  bool writable_root = false;
  uint64_t disk_bytes = 0;  ///< Of everything written: /tmp, /run, /dev/shm and the root.
};

std::string EncodeProgram(const ContainerProgram& program);
Result<ContainerProgram> DecodeProgram(std::string_view bytes);

/// What the inside tells the launcher.
enum class ContainerEvent : uint8_t { kHeld, kLaunching, kFailed };

}  // namespace hybridserve::sandbox

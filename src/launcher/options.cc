#include "launcher/options.h"

#include <charconv>

namespace hybridserve::launcher {
namespace {

constexpr uint32_t kMaxHeld = 16;

Result<std::string> CheckAbsolute(const std::string& flag, const std::string& value) {
  const std::filesystem::path path(value);
  if (!path.is_absolute() || path.lexically_normal() != path) {
    return Fail(Code::kInvalidArgument,
                flag + " takes an absolute path without '.' and '..', not '" + value + "'");
  }
  return value;
}

Result<uint32_t> ParseHeld(const std::string& value) {
  uint32_t held = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), held);
  if (error != std::errc() || end != value.data() + value.size() || held > kMaxHeld) {
    return Fail(Code::kInvalidArgument, "--held takes a number from 0 to 16, not '" + value + "'");
  }
  return held;
}

Result<> Apply(Options& options, const std::string& flag, const std::string& value) {
  if (flag == "--state-folder") {
    options.state_folder = value;
  } else if (flag == "--user") {
    options.user = value;
  } else if (flag == "--allow-folder") {
    TRY_ASSIGN(std::string folder, CheckAbsolute(flag, value));
    options.allowed_folders.push_back(std::move(folder));
  } else if (flag == "--containers") {
    TRY_ASSIGN(options.containers, ParseContainerRuntime(value));
  } else if (flag == "--runtime-address") {
    TRY_ASSIGN(options.runtime_address, CheckAbsolute(flag, value));
  } else if (flag == "--held") {
    TRY_ASSIGN(options.held, ParseHeld(value));
  } else if (flag == "--log-level") {
    options.log_level = value;
  } else {
    return Fail(Code::kInvalidArgument, "unknown flag '" + flag + "'; see launcher/options.h");
  }
  return {};
}

}  // namespace

Result<Options> ParseOptions(const std::vector<std::string>& arguments) {
  Options options;
  size_t i = 0;
  while (i < arguments.size() && arguments[i] != "--") {
    const std::string& flag = arguments[i++];
    if (i == arguments.size() || arguments[i] == "--") {
      return Fail(Code::kInvalidArgument, "the flag '" + flag + "' takes a value");
    }
    TRY(Apply(options, flag, arguments[i++]));
  }
  if (i < arguments.size())
    options.server.assign(arguments.begin() + static_cast<long>(i) + 1, arguments.end());
  if (options.server.empty()) {
    return Fail(Code::kInvalidArgument, "no server program; name it after '--'");
  }
  if (options.state_folder.empty()) {
    return Fail(Code::kInvalidArgument, "--state-folder is missing");
  }
  return options;
}

}  // namespace hybridserve::launcher

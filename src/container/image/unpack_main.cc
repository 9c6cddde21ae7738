// hybridserve-unpack: unpacks one image archive, as a jailed one-shot of the launcher.
//
//   hybridserve-unpack [--max-bytes N] [--max-files N] [--no-lockdown]
//
// Descriptor 3 is the archive, 4 the empty folder to fill. Prints the image's run configuration as
// one line of JSON on standard output (image_config.h) and exits 0; or one sentence on standard
// error that says what is wrong with the archive, and exits 1. --no-lockdown is for running it by
// hand.
#include <openssl/evp.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "container/image/unpack.h"
#include "sandbox/lockdown.h"

namespace hybridserve {
namespace {

constexpr int kArchiveFd = 3;
constexpr int kFolderFd = 4;
constexpr int kUsageExit = 2;
/// What the launcher takes of a job's output is 64 KiB.
constexpr size_t kMaxOutputBytes = 60 * 1024;

struct Options {
  UnpackLimits limits;
  bool lockdown = true;
};

bool ParseNumber(const char* text, uint64_t& out) {
  if (text == nullptr) return false;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, out);
  return error == std::errc() && stop == end;
}

std::optional<Options> ParseOptions(char** arguments) {
  Options options;
  for (; *arguments != nullptr; ++arguments) {
    const std::string_view name = *arguments;
    if (name == "--no-lockdown") {
      options.lockdown = false;
    } else if (name == "--max-bytes" && ParseNumber(arguments[1], options.limits.bytes)) {
      ++arguments;
    } else if (name == "--max-files" && ParseNumber(arguments[1], options.limits.files)) {
      ++arguments;
    } else {
      return std::nullopt;
    }
  }
  return options;
}

int Run(const Options& options) {
  // The libraries' own set-up opens files; it happens before the jail is shut.
  const Digest unused = Sha256("");
  (void)unused;
  if (options.lockdown) {
    if (auto locked = sandbox::Lockdown(sandbox::Profile::kUnpack); !locked) {
      std::fprintf(stderr, "cannot shut the jail: %s\n", locked.error().message.c_str());
      return 1;
    }
  }
  const auto config = UnpackImage(kArchiveFd, kFolderFd, options.limits);
  if (!config) {
    std::fprintf(stderr, "%s\n", config.error().message.c_str());
    return 1;
  }
  const std::string json = ImageConfigToJson(*config);
  if (json.size() > kMaxOutputBytes) {
    std::fprintf(stderr,
                 "the image's environment, command and ports take %zu bytes, more than %zu\n",
                 json.size(), kMaxOutputBytes);
    return 1;
  }
  std::printf("%s\n", json.c_str());
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace hybridserve

int main(int argc, char** argv) {
  const auto options = hybridserve::ParseOptions(argc > 0 ? argv + 1 : argv);
  if (!options) {
    std::fprintf(stderr,
                 "usage: hybridserve-unpack [--max-bytes N] [--max-files N] [--no-lockdown]\n"
                 "descriptor 3: the image archive; 4: the empty folder to fill\n");
    return hybridserve::kUsageExit;
  }
  return hybridserve::Run(*options);
}

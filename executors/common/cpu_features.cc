#include "executors/common/cpu_features.h"

#include <sys/auxv.h>

#include <array>
#include <cstdint>

#include "base/digest.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace hybridserve {
namespace {

#if defined(__x86_64__)
constexpr char kTarget[] = "x86_64-linux";

// The feature words of cpuid; nothing that differs between the cores of one machine.
std::string CpuFeatures() {
  std::array<uint32_t, 8> words{};
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  uint32_t d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) != 0) {
    constexpr uint32_t kOsxsave = 1u << 27;
    words[0] = c;
    words[1] = d;
    if ((c & kOsxsave) != 0) {
      uint32_t low = 0;
      uint32_t high = 0;
      __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
      words[2] = low;
    }
  }
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
    words[3] = b;
    words[4] = c;
    words[5] = d;
  }
  if (__get_cpuid(0x80000001, &a, &b, &c, &d) != 0) {
    words[6] = c;
    words[7] = d;
  }
  return {reinterpret_cast<const char*>(words.data()), sizeof(words)};
}
#elif defined(__aarch64__)
constexpr char kTarget[] = "aarch64-linux";

std::string CpuFeatures() {
  const std::array<uint64_t, 2> words{::getauxval(AT_HWCAP), ::getauxval(AT_HWCAP2)};
  return {reinterpret_cast<const char*>(words.data()), sizeof(words)};
}
#else
#error "Engines compile native code for x86-64 and aarch64 only"
#endif

}  // namespace

std::string TargetAndCpu() {
  return std::string(kTarget) + "/cpu-" + Sha256(CpuFeatures()).value.substr(0, 16);
}

}  // namespace hybridserve

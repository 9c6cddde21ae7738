#include "server/memory.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "base/file.h"

namespace hybridserve {

uint64_t MachineMemoryBytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page) : 0;
}

uint64_t ResidentBytes(pid_t pid) {
  const auto text = ReadFile("/proc/" + std::to_string(pid) + "/statm");
  unsigned long long total = 0;
  unsigned long long resident = 0;
  if (!text || std::sscanf(text->c_str(), "%llu %llu", &total, &resident) != 2) return 0;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace hybridserve

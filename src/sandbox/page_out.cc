#include "sandbox/page_out.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace hybridserve::sandbox {
namespace {

// What one call takes (UIO_MAXIOV).
constexpr size_t kRangesAtOnce = 1024;

// "7f00-7f10 rw-p 00000000 00:00 0 [heap]": absent unless it is private, writable and no file's.
bool ParsePrivateRange(const std::string& line, iovec& range) {
  std::istringstream words(line);
  std::string addresses;
  std::string access;
  std::string offset;
  std::string device;
  uint64_t inode = 0;
  if (!(words >> addresses >> access >> offset >> device >> inode)) return false;
  if (access != "rw-p" || inode != 0) return false;
  uintptr_t from = 0;
  uintptr_t to = 0;
  const char* const end = addresses.data() + addresses.size();
  const auto [dash, bad_from] = std::from_chars(addresses.data(), end, from, 16);
  if (bad_from != std::errc() || dash == end) return false;
  const auto [rest, bad_to] = std::from_chars(dash + 1, end, to, 16);
  if (bad_to != std::errc() || to <= from) return false;
  range = {reinterpret_cast<void*>(from), to - from};
  return true;
}

}  // namespace

bool HasSwap() {
  std::ifstream swaps("/proc/swaps");
  std::string line;
  std::getline(swaps, line);  // the heading
  return static_cast<bool>(std::getline(swaps, line));
}

Result<> PageOut(pid_t pid) {
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return FailErrno("open the process " + std::to_string(pid));
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  std::vector<iovec> ranges;
  std::string line;
  while (std::getline(maps, line)) {
    iovec range{};
    if (ParsePrivateRange(line, range)) ranges.push_back(range);
  }
  for (size_t first = 0; first < ranges.size(); first += kRangesAtOnce) {
    const size_t count = std::min(kRangesAtOnce, ranges.size() - first);
    if (::syscall(SYS_process_madvise, pidfd.get(), &ranges[first], count, MADV_PAGEOUT, 0) < 0) {
      return FailErrno("page out the memory of process " + std::to_string(pid));
    }
  }
  return {};
}

Result<> PageOutAll(const std::vector<pid_t>& pids) {
  Result<> all;
  for (const pid_t pid : pids) {
    Result<> one = PageOut(pid);
    if (!one && one.error().code != Code::kNotFound) all = std::move(one);
  }
  return all;
}

}  // namespace hybridserve::sandbox

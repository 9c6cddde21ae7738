#include "container/agent/docker/stream_demux.h"

#include <algorithm>

namespace hybridserve {
namespace {

constexpr size_t kHeadBytes = 8;
constexpr char kLargestStream = 2;  // 0 stdin, 1 stdout, 2 stderr

uint32_t BigEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

}  // namespace

Result<> StreamDemux::Take(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    if (left_ > 0) {
      const size_t size = std::min<size_t>(left_, bytes.size());
      out.append(bytes.substr(0, size));
      bytes.remove_prefix(size);
      left_ -= static_cast<uint32_t>(size);
      continue;
    }
    const size_t size = std::min(kHeadBytes - head_.size(), bytes.size());
    head_.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
    if (head_.size() < kHeadBytes) return {};
    const bool good = head_[0] >= 0 && head_[0] <= kLargestStream &&
                      head_.compare(1, 3, std::string_view("\0\0\0", 3)) == 0;
    if (!good) return Fail(Code::kCorrupt, "the container's output is not in Docker's frames");
    left_ = BigEndian(std::string_view(head_).substr(4));
    head_.clear();
  }
  return {};
}

}  // namespace hybridserve

// FunctionBench's dd: `dd if=/dev/zero of=/tmp/... bs=BS count=COUNT`, and the copy read back.
#include <hybridserve/function.h>

#include <algorithm>
#include <string>

#include "common/block_checksum.h"
#include "common/parameters.h"
#include "common/temporary_file.h"

namespace {

constexpr long long kMostBytes = 128ll << 20;

// What /dev/zero is to dd: fills the block anew each time.
void ReadSource(std::string& block) { std::fill(block.begin(), block.end(), '\0'); }

}  // namespace

hs::Response Handle(const hs::Request& request) {
  functions::Parameters parameters(request);
  const long long block_bytes = parameters.Integer("bs", 65536, 1, 16 << 20);
  const long long most = std::min(kMostBytes / block_bytes, 1ll << 20);
  const long long count = parameters.Integer("count", std::min(256ll, most), 1, most);
  if (!parameters.ok()) return parameters.BadRequest();

  functions::TemporaryFile copy("dd");
  std::string block(static_cast<size_t>(block_bytes), '\0');
  for (long long i = 0; i < count; ++i) {
    ReadSource(block);
    if (!copy.Write(block)) return copy.InsufficientStorage();
  }
  if (!copy.Rewind()) return copy.InsufficientStorage();
  functions::BlockChecksum sum;
  long long blocks = 0;
  while (const size_t got = copy.Read(block)) {
    sum.Add({block.data(), got});
    ++blocks;
  }
  if (!copy.ok()) return copy.InsufficientStorage();
  return hs::Response::Json(
      "{\"bs\":" + std::to_string(block_bytes) + ",\"count\":" + std::to_string(blocks) +
      ",\"bytes\":" + std::to_string(sum.bytes()) + ",\"checksum\":\"" + sum.Hex() + "\"}\n");
}

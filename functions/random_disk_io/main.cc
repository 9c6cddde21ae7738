// FunctionBench's random_disk_io: blocks of random bytes, written at pseudo-random offsets of a
// file and read from others. What was never written reads as zeros, what lies behind the last byte
// not at all.
#include <hybridserve/function.h>

#include <string>

#include "common/block_checksum.h"
#include "common/disk_io.h"
#include "common/random.h"
#include "common/temporary_file.h"

namespace {

// Where a block begins: anywhere, so that it ends within the file's size.
uint64_t Offset(const functions::DiskIo& io, functions::Random& random) {
  return random.Below(io.file_bytes() - io.block_bytes() + 1);
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  const functions::DiskIo io(request);
  if (!io.ok()) return io.BadRequest();

  functions::TemporaryFile file("random_disk_io");
  functions::Random random(io.seed());
  std::string block = io.RandomBlock();
  for (uint64_t i = 0; i < io.blocks(); ++i) {
    functions::Number(block, i);
    if (!file.WriteAt(block, Offset(io, random))) return file.InsufficientStorage();
  }
  if (!file.Sync()) return file.InsufficientStorage();
  functions::BlockChecksum sum;
  for (uint64_t i = 0; i < io.blocks(); ++i) {
    sum.Add({block.data(), file.ReadAt(block, Offset(io, random))});
  }
  if (!file.ok()) return file.InsufficientStorage();
  return io.Answer(sum);
}

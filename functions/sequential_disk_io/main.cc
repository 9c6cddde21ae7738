// FunctionBench's sequential_disk_io: a file of random bytes, written block by block and read back.
#include <hybridserve/function.h>

#include <string>

#include "common/block_checksum.h"
#include "common/disk_io.h"
#include "common/temporary_file.h"

hs::Response Handle(const hs::Request& request) {
  const functions::DiskIo io(request);
  if (!io.ok()) return io.BadRequest();

  functions::TemporaryFile file("sequential_disk_io");
  std::string block = io.RandomBlock();
  for (uint64_t i = 0; i < io.blocks(); ++i) {
    functions::Number(block, i);
    if (!file.Write(block)) return file.InsufficientStorage();
  }
  if (!file.Sync() || !file.Rewind()) return file.InsufficientStorage();
  functions::BlockChecksum sum;
  for (uint64_t i = 0; i < io.blocks(); ++i) sum.Add({block.data(), file.Read(block)});
  if (!file.ok()) return file.InsufficientStorage();
  return io.Answer(sum);
}

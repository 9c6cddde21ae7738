// Fuzzes what reads an image archive's tar and documents: names, links, indexes, manifests.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "container/image/layout.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hybridserve;
  const UniqueFd file(memfd_create("image", MFD_CLOEXEC));
  if (!WriteAll(file.get(), {reinterpret_cast<const char*>(data), size})) return 0;
  const auto archive = ImageArchive::Open(file.get());
  if (!archive) return 0;
  const auto image = ReadImageDescription(*archive);
  // What a described image promises to its users.
  if (image && !image->config.working_folder.starts_with('/')) abort();
  return 0;
}

// Fuzzes the application of one layer's tar: whatever it says, nothing beside the root may change.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "container/image/byte_source.h"
#include "container/image/layer.h"

namespace {

using namespace hybridserve;

class BytesSource : public ByteSource {
 public:
  explicit BytesSource(std::string_view bytes) : bytes_(bytes) {}
  Result<std::string_view> Next() override { return std::exchange(bytes_, {}); }

 private:
  std::string_view bytes_;
};

/// The folder with the root and with a witness beside it; made once.
const std::filesystem::path& Work() {
  static const TemporaryFolder folder;
  return folder.path();
}

void ExpectNothingBeside() {
  int entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(Work())) {
    const auto name = entry.path().filename();
    if (name != "root" && name != "witness") abort();
    ++entries;
  }
  struct stat status {};
  if (entries != 2 || stat((Work() / "witness").c_str(), &status) != 0 || status.st_size != 7 ||
      status.st_nlink != 1) {
    abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto root = Work() / "root";
  std::filesystem::create_directory(root);
  std::ofstream(Work() / "witness") << "witness";
  const UniqueFd folder(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  RootFolder writer(folder.get());
  ImageConfig config;
  LayerApplier applier(writer, {.bytes = 1 << 20, .files = 64}, config);

  BytesSource source({reinterpret_cast<const char*>(data), size});
  uint64_t budget = 4 << 20;
  DecompressedSource bytes(source, budget);
  Error failure;
  if (auto tar = OpenTar(bytes, failure)) {
    const auto applied = applier.Apply(tar->get(), failure);
    if (!applied && applied.error().message.empty()) abort();
  }
  if (config.bytes > 1 << 20) abort();
  ExpectNothingBeside();
  // A hostile mode may keep its own owner out; rights are given back before the clean-up.
  fchmod(folder.get(), 0700);
  std::error_code ignored;
  std::filesystem::remove_all(root, ignored);
  return 0;
}

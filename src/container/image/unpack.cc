#include "container/image/unpack.h"

#include <unistd.h>

#include <memory>

#include "container/image/byte_source.h"
#include "container/image/image_archive.h"
#include "container/image/layout.h"
#include "container/image/root_folder.h"
#include "container/image/users.h"

namespace hybridserve {
namespace {

constexpr uint64_t kMaxUserFileBytes = 1u << 20;
/// Room for headers and padding in the layers' tars, beyond the files' own bytes.
constexpr uint64_t kTarBytesPerFile = 2048;

Result<> CheckDigest(const Digest& actual, const Digest& wanted) {
  if (wanted.value.empty() || actual == wanted) return {};
  return Fail(Code::kInvalidArgument, "its digest is sha256:" + actual.value +
                                          ", not sha256:" + wanted.value +
                                          " as the image says: the archive is damaged");
}

Result<> ApplyLayer(const ImageArchive& archive, const ImageLayer& layer, LayerApplier& applier,
                    uint64_t& budget) {
  TRY_ASSIGN(const std::unique_ptr<ByteSource> file, archive.Stream(layer.name));
  HashingSource blob(*file);
  DecompressedSource tar_bytes(blob, budget);
  HashingSource diff(tar_bytes);
  Error failure;
  TRY_ASSIGN(const ArchiveReader tar, OpenTar(diff, failure));
  TRY(applier.Apply(tar.get(), failure));
  TRY(Drain(diff));
  TRY(Drain(blob));
  TRY(CheckDigest(blob.Finish(), layer.digest));
  return CheckDigest(diff.Finish(), layer.diff_id);
}

/// The file's content; empty when the image has no such file.
Result<std::string> ReadIfThere(const RootFolder& root, const std::string& path) {
  auto content = root.Read(path, kMaxUserFileBytes);
  if (!content && content.error().code == Code::kNotFound) return std::string();
  return content;
}

}  // namespace

Result<ImageConfig> UnpackImage(int archive_fd, int folder, const UnpackLimits& limits) {
  const Utf8Names utf8_names;
  TRY_ASSIGN(const ImageArchive archive, ImageArchive::Open(archive_fd));
  TRY_ASSIGN(ImageDescription image, ReadImageDescription(archive));

  RootFolder root(folder);
  TRY(root.MakeFolder("", FileAttributes{.mode = 0755}));
  LayerApplier applier(root, limits, image.config);
  uint64_t budget = limits.bytes + limits.files * kTarBytesPerFile;
  for (const ImageLayer& layer : image.layers) {
    auto applied = ApplyLayer(archive, layer, applier, budget);
    if (!applied) return Wrap(applied.error(), "layer '" + layer.name + "'");
  }

  TRY_ASSIGN(const std::string passwd, ReadIfThere(root, "etc/passwd"));
  TRY_ASSIGN(const std::string group, ReadIfThere(root, "etc/group"));
  TRY_ASSIGN(const UserIds ids, ResolveUser(image.user, passwd, group));
  image.config.uid = ids.uid;
  image.config.gid = ids.gid;
  image.config.files += root.implied_folders();
  if (syncfs(folder) != 0) return FailErrno("sync the image's file system");
  return image.config;
}

}  // namespace hybridserve

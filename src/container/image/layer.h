// LayerApplier: applies the tars of an image's layers, bottom first, to one root folder.
//
// What it does with each entry (OCI image-spec, "Applying changesets"):
//   files, folders, symbolic and hard links   made, replacing what lower layers had; folders merge
//   .wh.NAME, .wh..wh..opq                    remove NAME, or all of the folder's lower content
//   devices, FIFOs, sockets                   left out with a note: a container gets its own /dev
//   owner, mode, time                         kept; but no set-user-id and set-group-id bits, which
//                                             mean nothing under no_new_privs
//   extended attributes, ACLs                 ignored
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>

#include "base/result.h"
#include "container/image/image_config.h"
#include "container/image/libarchive.h"
#include "container/image/root_folder.h"

namespace hybridserve {

/// What one image may unpack to, all layers together.
struct UnpackLimits {
  uint64_t bytes = uint64_t{4} << 30;  ///< Of regular files, holes counted.
  uint64_t files = 500'000;            ///< Entries of every kind, implied folders counted.
};

class LayerApplier {
 public:
  /// `root` and `config` outlive the applier; config's bytes, files and notes are counted up.
  LayerApplier(RootFolder& root, const UnpackLimits& limits, ImageConfig& config)
      : root_(root), limits_(limits), config_(config) {}

  /// Applies one layer. `failure` is the one given to OpenTar.
  /// Errors: kInvalidArgument an entry leaves the root, or the tar is damaged; kTooLarge a limit.
  Result<> Apply(archive* tar, const Error& failure);

 private:
  Result<> ApplyEntry(archive* tar, archive_entry* entry, const Error& failure);
  Result<> ApplyWhiteout(const std::string& path, const std::string& name);
  Result<> ApplyFile(archive* tar, archive_entry* entry, const std::string& path,
                     const Error& failure);
  Result<> Count(uint64_t bytes);
  Result<> Remember(const std::string& path);
  [[nodiscard]] bool IsOfThisLayer(const std::string& path) const;
  void Note(std::string note);

  RootFolder& root_;
  UnpackLimits limits_;
  ImageConfig& config_;
  // Hashes of the paths that this layer made, and of the folders above them: whiteouts spare these.
  std::unordered_set<size_t> this_layer_;
  uint64_t notes_ = 0;
};

}  // namespace hybridserve

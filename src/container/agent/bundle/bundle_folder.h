// BundleFolder: the folder of one container that a runtime is given: its root file system, mounted,
// and what is remembered of it for after a restart.
//
//   FOLDER/config.json  the runtime specification
//   FOLDER/note.json    label, image and first process
//   FOLDER/log          a named pipe: stdout and stderr
//   FOLDER/lower        the unpacked image, whose owners are shown as users 0 to 65535
//   FOLDER/scratch      a tmpfs of disk_bytes: tmp, run, shm and the root's upper layer
//   FOLDER/rootfs       the two together
//
// Thread rule: one thread; the current folder is another one while a root is mounted.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/messages.h"

namespace hybridserve {

/// What is remembered of a container.
struct BundleNote {
  ContainerId id;  ///< 0: it runs nothing yet.
  std::string label;
  Digest image;
  pid_t pid = 0;  ///< 0: it was not made yet.
};

/// Makes and mounts everything but config.json and note.json. `image` is the store's folder of the
/// unpacked root file system; `owners` a user namespace that maps the store's owners (id_range.h).
/// Errors: kNotFound there is no such image. What was made until then is for RemoveBundleFolder.
Result<> MakeBundleFolder(const std::filesystem::path& folder, const SandboxSpec& spec,
                          const std::filesystem::path& image, int owners);

/// The read end of its log, non-blocking.
Result<UniqueFd> OpenBundleLog(const std::filesystem::path& folder);

Result<> WriteBundleNote(const std::filesystem::path& folder, const BundleNote& note);
/// Errors: kNotFound; kCorrupt.
Result<BundleNote> ReadBundleNote(const std::filesystem::path& folder);

/// Unmounts and removes it; one that is not there, or not whole, is fine.
Result<> RemoveBundleFolder(const std::filesystem::path& folder);

}  // namespace hybridserve

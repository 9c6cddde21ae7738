// CgroupFile: reads and writes the small text files of a cgroup folder.
//
// Thread rule: free functions; safe from any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hybridserve::sandbox {

/// Writes `text` in one write() to `folder`/`file`.
Result<> WriteControl(int folder, const char* file, std::string_view text);
/// The file's text, at most 64 KiB.
Result<std::string> ReadControl(int folder, const char* file);
/// The file's first number; 0 when it cannot be read ("max" is 0 too).
uint64_t ReadNumber(int folder, const char* file);
/// The number behind `key` in a file of "key value" lines; 0 when absent.
uint64_t ReadKeyed(int folder, const char* file, std::string_view key);
/// The processes listed in cgroup.procs.
std::vector<pid_t> ReadProcesses(int folder);
/// Sends SIGKILL to all of them, again and again until a pass finds none new (at most 100 passes).
/// Does nothing when the calling process is one of them.
void KillProcesses(int folder);

/// Kills what is in the groups below `folder`, and removes these groups. With `folder_too`, also
/// `folder` itself. Waits for dying processes, at most five seconds.
enum class Which { kBelow, kFolderToo };
Result<> RemoveGroupFolders(const std::filesystem::path& folder, Which which);

}  // namespace hybridserve::sandbox

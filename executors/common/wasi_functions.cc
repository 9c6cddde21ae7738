// The table by which every engine offers preview 1 to its guests, and by which a module's imports
// are checked.
#include "executors/common/wasi.h"

namespace hybridserve::wasi {

std::span<const HostFunction> HostFunctions() {
  static constexpr HostFunction kFunctions[] = {
      {"args_get", "ii", &Wasi::ArgsGet},
      {"args_sizes_get", "ii", &Wasi::ArgsSizesGet},
      {"clock_res_get", "ii", &Wasi::ClockResGet},
      {"clock_time_get", "iIi", &Wasi::ClockTimeGet},
      {"environ_get", "ii", &Wasi::EnvironGet},
      {"environ_sizes_get", "ii", &Wasi::EnvironSizesGet},
      {"fd_advise", "iIIi", &Wasi::FdAdvise},
      {"fd_allocate", "iII", &Wasi::FdAllocate},
      {"fd_close", "i", &Wasi::FdClose},
      {"fd_datasync", "i", &Wasi::FdDatasync},
      {"fd_fdstat_get", "ii", &Wasi::FdFdstatGet},
      {"fd_fdstat_set_flags", "ii", &Wasi::FdFdstatSetFlags},
      {"fd_fdstat_set_rights", "iII", &Wasi::FdFdstatSetRights},
      {"fd_filestat_get", "ii", &Wasi::FdFilestatGet},
      {"fd_filestat_set_size", "iI", &Wasi::FdFilestatSetSize},
      {"fd_filestat_set_times", "iIIi", &Wasi::FdFilestatSetTimes},
      {"fd_pread", "iiiIi", &Wasi::FdPread},
      {"fd_prestat_dir_name", "iii", &Wasi::FdPrestatDirName},
      {"fd_prestat_get", "ii", &Wasi::FdPrestatGet},
      {"fd_pwrite", "iiiIi", &Wasi::FdPwrite},
      {"fd_read", "iiii", &Wasi::FdRead},
      {"fd_readdir", "iiiIi", &Wasi::FdReaddir},
      {"fd_renumber", "ii", &Wasi::FdRenumber},
      {"fd_seek", "iIii", &Wasi::FdSeek},
      {"fd_sync", "i", &Wasi::FdSync},
      {"fd_tell", "ii", &Wasi::FdTell},
      {"fd_write", "iiii", &Wasi::FdWrite},
      {"path_create_directory", "iii", &Wasi::PathCreateDirectory},
      {"path_filestat_get", "iiiii", &Wasi::PathFilestatGet},
      {"path_filestat_set_times", "iiiiIIi", &Wasi::PathFilestatSetTimes},
      {"path_link", "iiiiiii", &Wasi::PathLink},
      {"path_open", "iiiiiIIii", &Wasi::PathOpen},
      {"path_readlink", "iiiiii", &Wasi::PathReadlink},
      {"path_remove_directory", "iii", &Wasi::PathRemoveDirectory},
      {"path_rename", "iiiiii", &Wasi::PathRename},
      {"path_symlink", "iiiii", &Wasi::PathSymlink},
      {"path_unlink_file", "iii", &Wasi::PathUnlinkFile},
      {"poll_oneoff", "iiii", &Wasi::PollOneoff},
      {"proc_exit", "i", &Wasi::ProcExit, /*returns=*/false},
      {"proc_raise", "i", &Wasi::Unsupported},
      {"random_get", "ii", &Wasi::RandomGet},
      {"sched_yield", "", &Wasi::SchedYield},
      {"sock_accept", "iii", &Wasi::Unsupported},
      {"sock_recv", "iiiiii", &Wasi::SockRecv},
      {"sock_send", "iiiii", &Wasi::SockSend},
      {"sock_shutdown", "ii", &Wasi::SockShutdown},
  };
  return kFunctions;
}

}  // namespace hybridserve::wasi

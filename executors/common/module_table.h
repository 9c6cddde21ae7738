// ModuleTable: the modules an executor has loaded, by number.
//
// Several threads may ask for a module at once that nobody has loaded: one loads it, the others
// wait for that. An unloaded module lives on until its last run has ended.
//
// Thread rule: any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "executors/common/engine.h"
#include "executors/common/precedence.h"

namespace hybridserve {

/// One function as the executor holds it.
struct LoadedModule {
  ModuleLoad load;
  std::vector<UniqueFd> folder_fds;
  std::vector<wasi::Folder> folders;
  std::unique_ptr<Module> module;
  Precedence::History history;
};

class ModuleTable {
 public:
  explicit ModuleTable(Engine& engine) : engine_(engine) {}

  struct Found {
    std::shared_ptr<LoadedModule> module;  ///< Shared by the table and the runs under way.
    bool loaded_now = false;
  };
  /// The module, loaded from `load` and `fds` (the code's, then the folders') if need be; `fds` are
  /// taken then.
  /// Errors: kNotFound not loaded, and `load` is empty; those of DecodeLoad and Engine::Load.
  Result<Found> Get(uint64_t number, std::string_view load, std::vector<UniqueFd>& fds);
  void Unload(uint64_t number);

 private:
  struct Entry {
    std::shared_ptr<LoadedModule> module;  // Empty while one thread loads it.
  };
  Result<std::shared_ptr<LoadedModule>> Load(std::string_view bytes, std::vector<UniqueFd>& fds);

  Engine& engine_;
  std::mutex mutex_;
  std::condition_variable loaded_;
  std::unordered_map<uint64_t, Entry> entries_;  // Guarded by mutex_.
};

}  // namespace hybridserve

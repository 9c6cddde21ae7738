#include "executors/common/module_table.h"

namespace hybridserve {

Result<ModuleTable::Found> ModuleTable::Get(uint64_t number, std::string_view load,
                                            std::vector<UniqueFd>& fds) {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto found = entries_.find(number);
    if (found == entries_.end()) break;
    if (found->second.module) return Found{.module = found->second.module};
    loaded_.wait(lock);
  }
  if (load.empty()) {
    return Fail(Code::kNotFound, "module " + std::to_string(number) + " is not loaded");
  }
  entries_.emplace(number, Entry{});
  lock.unlock();
  Result<std::shared_ptr<LoadedModule>> module = Load(load, fds);
  lock.lock();
  loaded_.notify_all();
  if (!module) {
    // Those who wait try for themselves, with their own descriptors, and get their own error.
    entries_.erase(number);
    return tl::unexpected(std::move(module.error()));
  }
  entries_[number].module = *module;
  return Found{.module = std::move(*module), .loaded_now = true};
}

void ModuleTable::Unload(uint64_t number) {
  std::shared_ptr<LoadedModule> last;  // Destroyed outside the lock.
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(number);
  if (found == entries_.end() || !found->second.module) return;
  last = std::move(found->second.module);
  entries_.erase(found);
}

Result<std::shared_ptr<LoadedModule>> ModuleTable::Load(std::string_view bytes,
                                                        std::vector<UniqueFd>& fds) {
  auto loaded = std::make_shared<LoadedModule>();
  TRY_ASSIGN(loaded->load, DecodeLoad(bytes));
  const size_t folders = loaded->load.folders.size();
  if (fds.size() < 1 + folders) {
    return Fail(Code::kCorrupt, "a module came with " + std::to_string(fds.size()) +
                                    " descriptors; it needs " + std::to_string(1 + folders));
  }
  for (size_t i = 0; i < folders; ++i) {
    const ModuleLoad::Folder& folder = loaded->load.folders[i];
    loaded->folder_fds.push_back(std::move(fds[1 + i]));
    loaded->folders.push_back({.fd = loaded->folder_fds.back().get(),
                               .guest_path = folder.guest_path,
                               .writable = folder.writable});
  }
  TRY_ASSIGN(loaded->module, engine_.Load(std::move(fds[0]), loaded->load.memory_limit_bytes));
  return loaded;
}

}  // namespace hybridserve

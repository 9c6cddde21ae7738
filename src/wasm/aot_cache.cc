#include "wasm/aot_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/file.h"
#include "base/log.h"

namespace hybridserve {
namespace {

constexpr std::string_view kMacHeading = "hybridserve-aot 1\n";
constexpr std::string_view kDraftMark = ".draft.";
constexpr std::string_view kMacDraftMark = ".mac.";  // Of WriteFileAtomically.
constexpr size_t kMaxMacBytes = 256;

Result<MacKey> ReadOrMakeKey(const std::filesystem::path& path) {
  Result<std::string> bytes = ReadFile(path, 1024);
  if (!bytes && bytes.error().code == Code::kNotFound) {
    bytes = RandomBytes(std::tuple_size_v<MacKey>);
    TRY(WriteFileAtomically(path, *bytes, 0600));
  }
  if (!bytes) return tl::unexpected(std::move(bytes.error()));
  MacKey key{};
  if (bytes->size() != key.size()) {
    return Fail(Code::kCorrupt, path.string() + " has " + std::to_string(bytes->size()) +
                                    " bytes instead of " + std::to_string(key.size()) +
                                    "; delete it, and all native code is compiled anew");
  }
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

// The number after "memory_minimum_bytes " in a MAC file; 0 when there is none: the MAC will not
// fit then.
uint64_t MemoryMinimumIn(std::string_view text) {
  constexpr std::string_view kField = "memory_minimum_bytes ";
  uint64_t value = 0;
  const size_t at = text.find(kField);
  if (at == std::string_view::npos) return 0;
  text.remove_prefix(at + kField.size());
  (void)std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

AotCache::AotCache(std::filesystem::path folder, MacKey key, size_t max_open)
    : folder_(std::move(folder)), mac_key_(key), max_open_(std::max<size_t>(max_open, 1)) {}

Result<AotCache> AotCache::Open(std::filesystem::path folder, const std::filesystem::path& key_file,
                                size_t max_open) {
  TRY(MakeFolder(folder, 0700));
  TRY_ASSIGN(const MacKey key, ReadOrMakeKey(key_file));
  // Drafts of a process that died.
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.find(kDraftMark) != std::string::npos ||
        name.find(kMacDraftMark) != std::string::npos) {
      ::unlink(entry.path().c_str());
    }
  }
  return AotCache(std::move(folder), key, max_open);
}

std::string AotCache::KeyOf(const Digest& module, std::string_view fingerprint) {
  return Sha256("hybridserve-aot\n" + module.value + "\n" + std::string(fingerprint)).value;
}

std::filesystem::path AotCache::NativePath(const std::string& key) const {
  return folder_ / (key + ".native");
}

std::filesystem::path AotCache::MacPath(const std::string& key) const {
  return folder_ / (key + ".mac");
}

Result<std::string> AotCache::MacText(const std::string& key, int fd,
                                      uint64_t memory_minimum_bytes) const {
  const std::string facts = "memory_minimum_bytes " + std::to_string(memory_minimum_bytes) + "\n";
  std::string context(kMacHeading);
  context.append(key).append("\n").append(facts);
  TRY_ASSIGN(const Mac mac, HmacOfFile(mac_key_, context, fd));
  return std::string(kMacHeading) + facts + "mac " + ToHex(mac) + "\n";
}

Result<AotCache::NativeCode> AotCache::Find(const std::string& key) {
  if (const auto found = held_.find(key); found != held_.end()) {
    uses_.splice(uses_.begin(), uses_, found->second.use);
    return NativeCode{found->second.fd.get(), found->second.memory_minimum_bytes};
  }
  TRY_ASSIGN(UniqueFd fd, OpenFile(NativePath(key), O_RDONLY | O_NOFOLLOW));
  const Result<std::string> noted = ReadFile(MacPath(key), kMaxMacBytes);
  if (noted) {
    const uint64_t minimum = MemoryMinimumIn(*noted);
    TRY_ASSIGN(const std::string computed, MacText(key, fd.get(), minimum));
    if (ConstantTimeEqual(*noted, computed)) return Hold(key, std::move(fd), minimum);
  }
  Remove(key);
  std::string message =
      "the native code " + NativePath(key).string() + " does not match its MAC; it is deleted";
  spdlog::warn("{} and compiled anew", message);
  return Fail(Code::kCorrupt, std::move(message));
}

Result<AotCache::Draft> AotCache::Begin(const std::string& key) {
  std::string path = (folder_ / (key + std::string(kDraftMark) + "XXXXXX")).string();
  UniqueFd fd(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd) return FailErrno("create " + path);
  return Draft{std::move(fd), path};
}

void AotCache::Discard(const Draft& draft) { ::unlink(draft.path.c_str()); }

Result<AotCache::NativeCode> AotCache::Commit(const std::string& key, Draft draft,
                                              uint64_t memory_minimum_bytes) {
  Result<std::string> mac = MacText(key, draft.fd.get(), memory_minimum_bytes);
  Result<> written =
      mac ? WriteFileAtomically(MacPath(key), *mac, 0600) : Result<>(tl::unexpected(mac.error()));
  if (written && ::rename(draft.path.c_str(), NativePath(key).c_str()) != 0) {
    written = FailErrno("rename " + draft.path.string());
  }
  if (!written) {
    Discard(draft);
    return tl::unexpected(written.error());
  }
  // Held read-only: nobody down the line can write through it.
  TRY_ASSIGN(UniqueFd fd, OpenFile(NativePath(key), O_RDONLY | O_NOFOLLOW));
  return Hold(key, std::move(fd), memory_minimum_bytes);
}

AotCache::NativeCode AotCache::Hold(const std::string& key, UniqueFd fd,
                                    uint64_t memory_minimum_bytes) {
  if (const auto old = held_.find(key); old != held_.end()) {
    uses_.erase(old->second.use);
    held_.erase(old);
  }
  if (held_.size() >= max_open_) {
    held_.erase(uses_.back());
    uses_.pop_back();
  }
  uses_.push_front(key);
  const int number = fd.get();
  held_.emplace(key, Held{std::move(fd), memory_minimum_bytes, uses_.begin()});
  return {number, memory_minimum_bytes};
}

size_t AotCache::CollectGarbage(const std::set<std::string>& kept, std::chrono::seconds grace) {
  const auto now = std::filesystem::file_time_type::clock::now();
  const auto oldest_kept = now - grace;
  std::set<std::string> gone;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    // A draft goes with its job or at the next start.
    if (entry.path().filename().string().find(kDraftMark) != std::string::npos) continue;
    const std::string key = entry.path().stem().string();
    std::error_code vanished;
    const auto touched = entry.last_write_time(vanished);
    // The clock was set back: the grace period starts again.
    if (!vanished && touched > now) {
      std::filesystem::last_write_time(entry.path(), now, vanished);
      continue;
    }
    if (!vanished && touched <= oldest_kept && !kept.contains(key)) gone.insert(key);
  }
  for (const std::string& key : gone) Remove(key);
  return gone.size();
}

void AotCache::Remove(const std::string& key) {
  if (const auto found = held_.find(key); found != held_.end()) {
    uses_.erase(found->second.use);
    held_.erase(found);
  }
  ::unlink(MacPath(key).c_str());
  ::unlink(NativePath(key).c_str());
}

}  // namespace hybridserve

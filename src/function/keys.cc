#include "function/keys.h"

#include <algorithm>
#include <cstdint>

#include "base/digest.h"
#include "base/log.h"

namespace hybridserve {

namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kMaxNameBytes = 64;
constexpr uint64_t kMaxFileBytes = 64 * 1024;
constexpr std::string_view kWhiteSpace = " \t\r";
constexpr std::string_view kHash = "sha256:";

std::string_view Trim(std::string_view text) {
  const size_t start = text.find_first_not_of(kWhiteSpace);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kWhiteSpace) - start + 1);
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b;
  });
}

// A line that is neither empty nor a comment; the error is a sentence about it.
Result<Key> ParseLine(std::string_view line) {
  const size_t hash = line.rfind(kHash);
  const bool has_hash = hash != std::string_view::npos && (hash == 0 || line[hash - 1] == ' ' ||
                                                           line[hash - 1] == '\t');
  if (!has_hash) {
    return Fail(Code::kInvalidArgument,
                "the line holds no hash: it must be NAME sha256:HEX, as `hybridserve token FILE` "
                "writes it; a key itself does not belong here");
  }
  Key key;
  key.name = Trim(line.substr(0, hash));
  key.digest.value = line.substr(hash + kHash.size());
  if (!IsDigest(key.digest.value)) {
    return Fail(Code::kInvalidArgument, "what follows sha256: is not 64 lower-case hex digits");
  }
  if (!key.name.empty() && !CheckKeyName(key.name)) {
    return Fail(Code::kInvalidArgument,
                "the name before sha256: is not one word of 1 to 64 letters, digits and '.-_@'");
  }
  return key;
}

}  // namespace

Result<> CheckKeyName(std::string_view name) {
  bool good = !name.empty() && name.size() <= kMaxNameBytes;
  for (const char c : name) {
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '-' || c == '_' || c == '@');
  }
  if (good) return {};
  return Fail(Code::kInvalidArgument,
              "a key's name has 1 to 64 letters, digits and '.-_@', and is no other");
}

std::string MakeKey() {
  const std::string bytes = RandomBytes(kKeyBytes);
  return ToHex({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

std::string KeyLine(std::string_view name, std::string_view key) {
  return std::string(name) + (name.empty() ? "" : " ") + std::string(kHash) + Sha256(key).value +
         "\n";
}

Result<KeySet> KeySet::Parse(std::string_view text, std::string_view file) {
  KeySet set;
  const auto fail = [file](int line, const std::string& sentence) {
    return Fail(Code::kInvalidArgument,
                std::string(file) + ":" + std::to_string(line) + ": " + sentence);
  };
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    Result<Key> key = ParseLine(line);
    if (!key) return fail(number, key.error().message);
    const auto same_name = [&key](const Key& other) {
      return !key->name.empty() && other.name == key->name;
    };
    if (std::ranges::any_of(set.keys_, same_name)) {
      return fail(number, "there are two keys of the name " + key->name);
    }
    if (set.keys_.size() == kMaxKeys) {
      return fail(number, "there are more than " + std::to_string(kMaxKeys) + " keys");
    }
    set.keys_.push_back(std::move(*key));
  }
  return set;
}

const Key* KeySet::Find(std::string_view authorization) const {
  const size_t space = authorization.find(' ');
  if (space == std::string_view::npos ||
      !EqualsIgnoringCase(authorization.substr(0, space), "bearer")) {
    return nullptr;
  }
  const Digest digest = Sha256(Trim(authorization.substr(space)));
  const Key* found = nullptr;
  for (const Key& key : keys_) {
    if (ConstantTimeEqual(digest.value, key.digest.value)) found = &key;
  }
  return found;
}

Result<const Key*> CheckKey(const KeySet& keys, std::span<const Header> headers,
                            std::string_view who_needs_it) {
  const Header* authorization = nullptr;
  for (const Header& header : headers) {
    if (!EqualsIgnoringCase(header.name, "authorization")) continue;
    if (authorization != nullptr) {
      return Fail(Code::kUnauthorized, "the request has two Authorization headers; send one");
    }
    authorization = &header;
  }
  if (authorization == nullptr) {
    return Fail(Code::kUnauthorized,
                std::string(who_needs_it) + " needs a key: send Authorization: Bearer KEY");
  }
  if (const Key* key = keys.Find(authorization->value)) return key;
  return Fail(Code::kUnauthorized,
              "the key in Authorization: Bearer KEY is none of those of " +
                  std::string(who_needs_it));
}

Result<std::shared_ptr<KeyFile>> KeyFile::Open(std::filesystem::path path) {
  std::shared_ptr<KeyFile> file(new KeyFile(std::move(path)));
  TRY(file->Load());
  return file;
}

Result<> KeyFile::Load() {
  // Before it is read: a change meanwhile shows as another one.
  const FileStamp stamp = StampOf(path_);
  const auto read = [this]() -> Result<KeySet> {
    TRY_ASSIGN(const RegularFile file, ReadRegularFile(path_, kMaxFileBytes));
    if ((file.status.st_mode & S_IWOTH) != 0) {
      return Fail(Code::kForbidden,
                  path_.string() + " may be written by everybody: chmod 0400 it");
    }
    return KeySet::Parse(file.content, path_.string());
  };
  Result<KeySet> keys = read();
  const std::lock_guard lock(mutex_);
  stamp_ = stamp;
  if (!keys) return tl::unexpected(std::move(keys.error()));
  keys_ = std::make_shared<const KeySet>(std::move(*keys));
  return {};
}

std::shared_ptr<const KeySet> KeyFile::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

void KeyFile::ReloadIfChanged() {
  const FileStamp now = StampOf(path_);
  {
    const std::lock_guard lock(mutex_);
    if (now == stamp_) return;
  }
  if (const Result<> loaded = Load(); !loaded) {
    spdlog::error("the keys of {} stay as they were: {}", path_.string(), loaded.error().message);
  } else {
    spdlog::info("{} has changed: {} keys", path_.string(), keys()->keys().size());
  }
}

void KeyFile::TakeOver(const KeyFile& newer) {
  const std::scoped_lock lock(mutex_, newer.mutex_);
  stamp_ = newer.stamp_;
  keys_ = newer.keys_;
}

}  // namespace hybridserve

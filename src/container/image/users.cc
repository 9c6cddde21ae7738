#include "container/image/users.h"

#include <array>
#include <charconv>
#include <optional>

namespace hybridserve {
namespace {

constexpr uint32_t kMaxId = 65535;

std::optional<uint32_t> ParseId(std::string_view text) {
  uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return id;
}

/// The first four fields of a line NAME:PASSWORD:ID:ID...
std::array<std::string_view, 4> Fields(std::string_view line) {
  std::array<std::string_view, 4> fields;
  for (std::string_view& field : fields) {
    const size_t colon = std::min(line.find(':'), line.size());
    field = line.substr(0, colon);
    line.remove_prefix(std::min(colon + 1, line.size()));
  }
  return fields;
}

/// The fields of the line whose name, or whose id where `key` is a number, is `key`.
std::optional<std::array<std::string_view, 4>> FindLine(std::string_view text,
                                                        std::string_view key) {
  const std::optional<uint32_t> id = ParseId(key);
  while (!text.empty()) {
    const size_t newline = std::min(text.find('\n'), text.size());
    const auto fields = Fields(text.substr(0, newline));
    text.remove_prefix(std::min(newline + 1, text.size()));
    if (fields[0] == key || (id && ParseId(fields[2]) == id)) return fields;
  }
  return std::nullopt;
}

Result<uint32_t> CheckId(uint32_t id, std::string_view what) {
  if (id <= kMaxId) return id;
  return Fail(Code::kInvalidArgument, "the image's " + std::string(what) + " " +
                                          std::to_string(id) +
                                          " is over 65535, the largest a container has");
}

}  // namespace

Result<UserIds> ResolveUser(std::string_view user, std::string_view passwd,
                            std::string_view group) {
  UserIds ids;
  const size_t colon = std::min(user.find(':'), user.size());
  const std::string_view name = user.substr(0, colon);
  const std::string_view group_name = user.substr(std::min(colon + 1, user.size()));
  if (!name.empty()) {
    const auto line = FindLine(passwd, name);
    const auto id = line ? ParseId((*line)[2]) : ParseId(name);
    if (!id) {
      return Fail(Code::kInvalidArgument, "the image is to run as user '" +
                                              std::string(name.substr(0, 64)) +
                                              "', who is not in its /etc/passwd");
    }
    TRY_ASSIGN(ids.uid, CheckId(*id, "user id"));
    if (line) {
      TRY_ASSIGN(ids.gid, CheckId(ParseId((*line)[3]).value_or(0), "group id"));
    }
  }
  if (!group_name.empty()) {
    const auto line = FindLine(group, group_name);
    const auto id = line ? ParseId((*line)[2]) : ParseId(group_name);
    if (!id) {
      return Fail(Code::kInvalidArgument, "the image is to run as group '" +
                                              std::string(group_name.substr(0, 64)) +
                                              "', which is not in its /etc/group");
    }
    TRY_ASSIGN(ids.gid, CheckId(*id, "group id"));
  }
  return ids;
}

}  // namespace hybridserve

// Users: who "nginx", "1000" or "app:www-data" is, by an image's own /etc/passwd and /etc/group.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hybridserve {

struct UserIds {
  uint32_t uid = 0;
  uint32_t gid = 0;
  bool operator==(const UserIds&) const = default;
};

/// The ids of `user`: "", "NAME", "UID", each with ":GROUP" or ":GID". Without a group, it is the
/// one that /etc/passwd gives the user, or 0. The texts are the files' contents, empty if there are
/// none.
///
/// Errors: kInvalidArgument no such user or group in the image, or an id over 65535.
Result<UserIds> ResolveUser(std::string_view user, std::string_view passwd, std::string_view group);

}  // namespace hybridserve

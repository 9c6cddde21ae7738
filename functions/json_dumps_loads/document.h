// The document of json_dumps_loads: made from sizes, or sent by the client.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// A JSON text (RFC 8259): an array of `count` records as a web service's list of users has them.
std::string MakeDocument(size_t count, uint64_t seed);

/// How deep arrays and objects are nested in `text`: 0 for a number, 2 for [[1],[2]]. For text that
/// is no JSON an upper bound of what a parser reaches.
size_t DepthOf(std::string_view text);

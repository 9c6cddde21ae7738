// FunctionBench's json_dumps_loads: parses a JSON document and writes it again, indented by four.
#include <hybridserve/function.h>

#include <nlohmann/json.hpp>

#include "common/checksum.h"
#include "common/parameters.h"
#include "document.h"

namespace {

constexpr long long kMostRecords = 20'000;
constexpr size_t kLongestDocument = 512u << 10;
// Each level indents every line below it by four more: the text written stays below 65 times the
// text read. Writing takes one frame of the stack a level.
constexpr size_t kDeepest = 32;

size_t CountValues(const nlohmann::json& value) {
  size_t count = 1;
  if (!value.is_structured()) return count;
  for (const nlohmann::json& inner : value) count += CountValues(inner);
  return count;
}

hs::Response Answer(const std::string& document) {
  const auto parsed = nlohmann::json::parse(document, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return hs::Response::Text("body: give a JSON document (RFC 8259)\n", 400);
  }
  const std::string written = parsed.dump(4);
  functions::Checksum checksum;
  checksum.Add(written);
  return hs::Response::Json("{\"bytes_read\":" + std::to_string(document.size()) +
                            ",\"values\":" + std::to_string(CountValues(parsed)) +
                            ",\"bytes_written\":" + std::to_string(written.size()) +
                            ",\"checksum\":\"" + checksum.Hex() + "\"}\n");
}

bool IsDocument(const hs::Request& request) {
  return !request.body.empty() &&
         !request.HeaderValue("content-type").starts_with("application/json");
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  if (IsDocument(request)) {
    if (request.body.size() > kLongestDocument || DepthOf(request.body) > kDeepest) {
      return hs::Response::Text(
          "body: give a document of at most 524288 bytes, nested at most 32 deep\n", 413);
    }
    return Answer(request.body);
  }
  functions::Parameters parameters(request);
  const long long count = parameters.Integer("n", 1000, 0, kMostRecords);
  const long long seed = parameters.Integer("seed", 1, 0, 1'000'000'000);
  if (!parameters.ok()) return parameters.BadRequest();
  return Answer(MakeDocument(static_cast<size_t>(count), static_cast<uint64_t>(seed)));
}

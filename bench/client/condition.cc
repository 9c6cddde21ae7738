#include "client/condition.h"

#include <thread>

#include "client/http_connection.h"

namespace hybridserve::bench {
namespace {

using Json = nlohmann::json;

Result<Json> Get(HttpConnection& connection, const std::string& path) {
  TRY_ASSIGN(const Answer answer, connection.Send(MakeRequest("GET", path, "node", "")));
  if (answer.status != 200) {
    return Fail(Code::kUnavailable, "GET " + path + " answered " + std::to_string(answer.status) +
                                        ": " + answer.body.substr(0, 300));
  }
  Json document = Json::parse(answer.body, nullptr, false);
  if (document.is_discarded()) return Fail(Code::kCorrupt, "GET " + path + " answered no JSON");
  return document;
}

}  // namespace

bool Condition::HoldsIn(const Json& document) const {
  if (!document.contains(pointer)) return false;
  const Json& found = document.at(pointer);
  if (!at_least) return found == value;
  return found.is_number() && value.is_number() && found.get<double>() >= value.get<double>();
}

Result<Condition> ParseCondition(std::string_view text) {
  const auto bad = [text] {
    return Fail(Code::kInvalidArgument,
                "'" + std::string(text) + "' is not PATH#POINTER=VALUE or PATH#POINTER>=VALUE");
  };
  const size_t hash = text.find('#');
  const size_t equal = text.find('=', hash == std::string_view::npos ? 0 : hash);
  if (hash == std::string_view::npos || equal == std::string_view::npos) return bad();
  Condition condition;
  condition.path = text.substr(0, hash);
  condition.at_least = text[equal - 1] == '>';
  const size_t pointer_end = condition.at_least ? equal - 1 : equal;
  condition.value = Json::parse(text.substr(equal + 1), nullptr, false);
  if (condition.value.is_discarded()) return bad();
  try {
    condition.pointer =
        Json::json_pointer(std::string(text.substr(hash + 1, pointer_end - hash - 1)));
  } catch (const Json::parse_error&) {
    return bad();
  }
  return condition;
}

Result<> WaitFor(const std::vector<Condition>& conditions, const Target& admin,
                 std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  TRY_ASSIGN(UniqueFd stream, ConnectTo(admin));
  HttpConnection connection(std::move(stream));
  for (const Condition& condition : conditions) {
    for (;;) {
      TRY_ASSIGN(const Json document, Get(connection, condition.path));
      if (condition.HoldsIn(document)) break;
      if (std::chrono::steady_clock::now() > deadline) {
        return Fail(Code::kTimeout, "after " + std::to_string(timeout.count()) + " ms " +
                                        condition.path + "#" + condition.pointer.to_string() +
                                        " was not " + condition.value.dump() + ": " +
                                        document.dump());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  return {};
}

}  // namespace hybridserve::bench

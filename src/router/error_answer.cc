#include <nlohmann/json.hpp>

#include "router/router.h"

namespace hybridserve {

ErrorAnswer MakeErrorAnswer(const Error& error) {
  return MakeErrorAnswer(error, HttpStatus(error.code));
}

ErrorAnswer MakeErrorAnswer(const Error& error, int http_status) {
  ErrorAnswer answer;
  answer.head.status = http_status;
  answer.head.headers.push_back({"Content-Type", "application/json"});
  if (http_status == 429 || http_status == 503) {
    answer.head.headers.push_back({"Retry-After", "1"});
  }
  if (http_status == 401) answer.head.headers.push_back({"WWW-Authenticate", "Bearer"});
  const nlohmann::json json = {
      {"error", {{"code", CodeName(error.code)}, {"message", error.message}}}};
  // A message may quote what a guest wrote: bytes that are no UTF-8 become U+FFFD.
  answer.body = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  answer.body.push_back('\n');
  return answer;
}

}  // namespace hybridserve

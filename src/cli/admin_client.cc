#include "cli/admin_client.h"

#include <algorithm>

#include "base/digest.h"
#include "cli/terminal.h"
#include "function/manifest.h"

namespace hybridserve::cli {
namespace {

/// Longest line of an answer that comes line by line.
constexpr size_t kLongestLine = 4u << 20;

/// The sentence for a node that cannot be reached says what to do about it.
Error Unreachable(const HttpAddress& address, Error error) {
  const std::string where = address.Text();
  if (!address.socket.empty()) {
    if (error.code == Code::kForbidden) {
      error.message = "the admin socket " + where +
                      " may not be used by this user; run this as root, or as a member of the "
                      "group of the node's server";
    } else if (error.code == Code::kNotFound || error.code == Code::kUnavailable) {
      error = {Code::kUnavailable, "no node is running with the admin socket " + where +
                                       "; start one with `hybridserve serve`, or name another with "
                                       "--state-folder or --node"};
    }
  } else if (error.code == Code::kNotFound || error.code == Code::kUnavailable) {
    error.code = Code::kUnavailable;
    error.message +=
        "; check --node (HYBRIDSERVE_NODE) and whether the node serves its admin API "
        "there ([admin] listen)";
  }
  return error;
}

/// The failure in an answer's body, or one made of its status.
Error ErrorOf(const HttpAnswer& answer, const HttpAddress& address) {
  const Json body = Json::parse(answer.body, nullptr, false);
  const std::string message = TextAt(body, "/error/message");
  if (!message.empty()) return {CodeOfName(TextAt(body, "/error/code")), message};
  const Code code = CodeOfStatus(answer.status);
  std::string hint;
  if (answer.status == 401) hint = "; give the node's token with --token-file";
  return {code, "the node at " + address.Text() + " answered " + std::to_string(answer.status) +
                    " without saying why" + hint};
}

Result<Json> ParseAnswer(const std::string& text, const HttpAddress& address) {
  Json parsed = Json::parse(text, nullptr, false);
  if (parsed.is_discarded()) {
    return Fail(Code::kInternal, "the answer of " + address.Text() +
                                     " is no JSON; is it the admin API of a HybridServe node?");
  }
  return parsed;
}

const Json* Find(const Json& document, const std::string& path) {
  const Json::json_pointer pointer(path);
  return document.contains(pointer) ? &document.at(pointer) : nullptr;
}

}  // namespace

std::string TextAt(const Json& document, const std::string& path) {
  const Json* value = Find(document, path);
  if (value == nullptr) return "";
  if (value->is_string()) return Printable(value->get_ref<const std::string&>());
  return value->is_number() ? value->dump() : "";
}

int64_t NumberAt(const Json& document, const std::string& path) {
  const Json* value = Find(document, path);
  return value != nullptr && value->is_number() ? value->get<int64_t>() : 0;
}

bool FlagAt(const Json& document, const std::string& path) {
  const Json* value = Find(document, path);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

Code CodeOfName(std::string_view name) {
  for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code) {
    if (CodeName(static_cast<Code>(code)) == name) return static_cast<Code>(code);
  }
  return Code::kInternal;
}

Code CodeOfStatus(int status) {
  if (status == 500) return Code::kInternal;
  for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code) {
    if (HttpStatus(static_cast<Code>(code)) == status) return static_cast<Code>(code);
  }
  return Code::kInternal;
}

Result<std::string> FunctionPath(const std::string& name) {
  TRY(CheckFunctionName(name));
  return "/v1/functions/" + name;
}

HttpRequest AdminClient::Request(std::string method, std::string target) const {
  HttpRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  if (!token_.empty()) request.headers.push_back({"Authorization", "Bearer " + token_});
  return request;
}

Result<HttpAnswer> AdminClient::Exchange(const HttpRequest& request) const {
  Result<HttpAnswer> answer = Fetch(address_, request);
  if (!answer) return tl::unexpected(Unreachable(address_, std::move(answer.error())));
  if (answer->status >= 400) return tl::unexpected(ErrorOf(*answer, address_));
  return answer;
}

Result<Json> AdminClient::Ask(std::string method, std::string target, const Json* body) const {
  HttpRequest request = Request(std::move(method), std::move(target));
  if (body != nullptr) {
    request.body = body->dump();
    request.headers.push_back({"Content-Type", "application/json"});
  }
  TRY_ASSIGN(const HttpAnswer answer, Exchange(request));
  if (answer.body.empty()) return Json::object();
  return ParseAnswer(answer.body, address_);
}

Result<Json> AdminClient::Node() const { return Ask("GET", "/v1/node"); }
Result<Json> AdminClient::Functions() const { return Ask("GET", "/v1/functions"); }

Result<Json> AdminClient::Function(const std::string& name) const {
  TRY_ASSIGN(const std::string path, FunctionPath(name));
  return Ask("GET", path);
}

Result<Json> AdminClient::Remove(const std::string& name) const {
  TRY_ASSIGN(const std::string path, FunctionPath(name));
  return Ask("DELETE", path);
}

Result<Json> AdminClient::Rollback(const std::string& name, std::optional<int64_t> revision) const {
  TRY_ASSIGN(const std::string path, FunctionPath(name));
  Json body = Json::object();
  if (revision) body["to"] = *revision;
  return Ask("POST", path + "/rollback", &body);
}

Result<bool> AdminClient::HasBlob(const Digest& digest) const {
  Result<HttpAnswer> answer = Fetch(address_, Request("HEAD", "/v1/blobs/" + digest.value));
  if (!answer) return tl::unexpected(Unreachable(address_, std::move(answer.error())));
  if (answer->status == 404) return false;
  if (answer->status >= 400) return tl::unexpected(ErrorOf(*answer, address_));
  return true;
}

Result<Digest> AdminClient::Upload(
    int file, std::function<void(uint64_t done, uint64_t total)> on_progress) const {
  HttpRequest request = Request("PUT", "/v1/blobs");
  request.body_file = file;
  request.on_progress = std::move(on_progress);
  request.headers.push_back({"Content-Type", "application/octet-stream"});
  TRY_ASSIGN(const HttpAnswer answer, Exchange(request));
  TRY_ASSIGN(const Json body, ParseAnswer(answer.body, address_));
  Digest digest{TextAt(body, "/digest")};
  if (!IsDigest(digest.value)) {
    return Fail(Code::kInternal, "the node took the upload and answered without its digest");
  }
  return digest;
}

Result<> AdminClient::Lines(const HttpRequest& request,
                            const std::function<Result<>(const Json&)>& on_line) const {
  std::string pending;
  const auto take = [this, &on_line](std::string_view line) -> Result<> {
    if (line.empty()) return {};
    TRY_ASSIGN(const Json parsed, ParseAnswer(std::string(line), address_));
    return on_line(parsed);
  };
  const auto consume = [&pending, &take](std::string_view piece) -> Result<> {
    pending += piece;
    size_t begin = 0;
    for (size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1) {
      TRY(take(std::string_view(pending).substr(begin, end - begin)));
    }
    pending.erase(0, begin);
    if (pending.size() <= kLongestLine) return {};
    return Fail(Code::kInternal, "the node sent a line of more than 4 MiB");
  };
  Result<HttpAnswer> answer = FetchStream(address_, request, consume);
  if (!answer) return tl::unexpected(Unreachable(address_, std::move(answer.error())));
  if (answer->status >= 400) return tl::unexpected(ErrorOf(*answer, address_));
  return take(pending);
}

Result<Json> AdminClient::Deploy(const Json& request,
                                 const std::function<void(const Json&)>& on_event) const {
  HttpRequest post = Request("POST", "/v1/functions");
  post.body = request.dump();
  post.headers.push_back({"Content-Type", "application/json"});
  post.headers.push_back({"Accept", "application/x-ndjson"});
  Json done;
  const auto on_line = [&done, &on_event](const Json& event) -> Result<> {
    const std::string kind = TextAt(event, "/event");
    if (kind == "error") {
      return Fail(CodeOfName(TextAt(event, "/error/code")), TextAt(event, "/error/message"));
    }
    if (kind == "done") {
      done = event;
    } else {
      on_event(event);
    }
    return {};
  };
  TRY(Lines(post, on_line));
  if (done.is_null()) {
    return Fail(Code::kInternal,
                "the node ended the deployment without saying how it came out; "
                "look at `hybridserve list` and at the node's log");
  }
  return done;
}

Result<> AdminClient::Logs(const std::string& name, uint32_t tail, Follow follow,
                           const std::function<Result<>(const Json&)>& on_line) const {
  TRY_ASSIGN(std::string path, FunctionPath(name));
  path += "/logs?tail=" + std::to_string(tail);
  if (follow == Follow::kYes) path += "&follow=1";
  return Lines(Request("GET", path), on_line);
}

}  // namespace hybridserve::cli

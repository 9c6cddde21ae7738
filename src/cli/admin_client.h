// AdminClient: the node's admin API (docs/openapi.yaml) as the commands use it.
//
// Answers are the API's own JSON, so that `--output json` shows all of it; a failure that the node
// reports becomes an Error with the node's code and sentence.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "cli/http_client.h"

namespace hybridserve::cli {

using Json = nlohmann::json;

class AdminClient {
 public:
  /// `token` is sent as the bearer token; empty: none.
  AdminClient(HttpAddress address, std::string token)
      : address_(std::move(address)), token_(std::move(token)) {}

  Result<Json> Node() const;
  Result<Json> Functions() const;
  Result<Json> Function(const std::string& name) const;
  Result<Json> Remove(const std::string& name) const;
  /// To the revision before the live one, or to `revision`.
  Result<Json> Rollback(const std::string& name, std::optional<int64_t> revision) const;

  /// Whether the node has this blob already.
  Result<bool> HasBlob(const Digest& digest) const;
  /// Sends the regular file `file` and returns its digest as the node computed it.
  Result<Digest> Upload(int file,
                        std::function<void(uint64_t done, uint64_t total)> on_progress) const;

  /// Deploys and returns the last event, {"event":"done",...}. The others go to `on_event`.
  Result<Json> Deploy(const Json& request, const std::function<void(const Json&)>& on_event) const;

  /// The last `tail` lines of a function's log, then, if `follow`, each line as it comes, until the
  /// node ends or `on_line` fails. Lines are JSON objects.
  enum class Follow : uint8_t { kNo, kYes };
  Result<> Logs(const std::string& name, uint32_t tail, Follow follow,
                const std::function<Result<>(const Json&)>& on_line) const;

  [[nodiscard]] const HttpAddress& address() const { return address_; }

 private:
  HttpRequest Request(std::string method, std::string target) const;
  /// The answer, if its status is below 400.
  Result<HttpAnswer> Exchange(const HttpRequest& request) const;
  Result<Json> Ask(std::string method, std::string target, const Json* body = nullptr) const;
  /// Reads an answer of one JSON document a line.
  Result<> Lines(const HttpRequest& request,
                 const std::function<Result<>(const Json&)>& on_line) const;

  HttpAddress address_;
  std::string token_;
};

/// The text at `path` ("/status/policy") of a JSON document from the node, printable; empty when it
/// is not there or no text. Numbers come as their digits.
std::string TextAt(const Json& document, const std::string& path);
/// The whole number at `path`; 0 when it is not there.
int64_t NumberAt(const Json& document, const std::string& path);
bool FlagAt(const Json& document, const std::string& path);

/// The kind of failure that the node calls `name`; kInternal for an unknown one.
Code CodeOfName(std::string_view name);
/// The kind of failure that an HTTP status means; kInternal for one without a kind of its own.
Code CodeOfStatus(int status);

/// `name` for use in a request's path. Errors: kInvalidArgument it is no function's name.
Result<std::string> FunctionPath(const std::string& name);

}  // namespace hybridserve::cli

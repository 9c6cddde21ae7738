#include "admin/admin_api.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <optional>
#include <utility>

#include "admin/admin_json.h"
#include "function/units.h"

namespace hybridserve {

namespace asio = boost::asio;

namespace {

constexpr uint64_t kMaxRequestBytes = 1u << 20;
constexpr uint32_t kDefaultTail = 100;
constexpr uint32_t kMaxTail = 100000;
constexpr std::string_view kJson = "application/json";
constexpr std::string_view kLines = "application/x-ndjson";

}  // namespace

// The routes, as the API serves and lists them.
struct AdminRouteTable {
  struct Row {
    AdminRoute route;
    AdminApi::Endpoint endpoint;
  };
  static constexpr std::array kRows = {
      Row{{"GET", "/v1/node"}, &AdminApi::GetNode},
      Row{{"PUT", "/v1/blobs"}, &AdminApi::PutBlob},
      Row{{"GET", "/v1/blobs/{digest}"}, &AdminApi::GetBlob},
      Row{{"HEAD", "/v1/blobs/{digest}"}, &AdminApi::GetBlob},
      Row{{"GET", "/v1/functions"}, &AdminApi::ListFunctions},
      Row{{"POST", "/v1/functions"}, &AdminApi::PostFunction},
      Row{{"GET", "/v1/functions/{name}"}, &AdminApi::GetFunction},
      Row{{"DELETE", "/v1/functions/{name}"}, &AdminApi::DeleteFunction},
      Row{{"POST", "/v1/functions/{name}/rollback"}, &AdminApi::PostRollback},
      Row{{"GET", "/v1/functions/{name}/logs"}, &AdminApi::GetLogs},
      Row{{"GET", "/metrics"}, &AdminApi::GetMetrics},
  };
};

std::span<const AdminRoute> AdminRoutes() {
  static const auto kRoutes = [] {
    std::array<AdminRoute, AdminRouteTable::kRows.size()> routes;
    for (size_t i = 0; i < routes.size(); ++i) routes[i] = AdminRouteTable::kRows[i].route;
    return routes;
  }();
  return kRoutes;
}

namespace {

// What stands in the pattern's {place}; "" where there is none; nullopt: the path does not match.
std::optional<std::string> Match(std::string_view pattern, std::string_view path) {
  const size_t open = pattern.find('{');
  if (open == std::string_view::npos) {
    return pattern == path ? std::optional<std::string>("") : std::nullopt;
  }
  const std::string_view after = pattern.substr(pattern.find('}') + 1);
  if (!path.starts_with(pattern.substr(0, open))) return std::nullopt;
  const std::string_view rest = path.substr(open);
  const std::string_view place = rest.substr(0, rest.find('/'));
  if (place.empty() || rest.substr(place.size()) != after) return std::nullopt;
  return std::string(place);
}

struct LogQuery {
  uint32_t tail = kDefaultTail;
  bool follow = false;
};

Result<LogQuery> ParseLogQuery(std::string_view query) {
  LogQuery parsed;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::string_view key = pair.substr(0, pair.find('='));
    const std::string_view value = pair.substr(std::min(pair.size(), key.size() + 1));
    if (key == "tail") {
      const char* const end = value.data() + value.size();
      const auto [at, error] = std::from_chars(value.data(), end, parsed.tail);
      if (error == std::errc() && at == end && parsed.tail <= kMaxTail) continue;
      return Fail(Code::kInvalidArgument,
                  "tail is " + Quote(value) + "; it must be from 0 to " + std::to_string(kMaxTail));
    }
    if (key == "follow" && (value == "0" || value == "1")) {
      parsed.follow = value == "1";
      continue;
    }
    return Fail(Code::kInvalidArgument,
                "unknown or bad parameter " + Quote(pair) + "; known are tail=N and follow=0 or 1");
  }
  return parsed;
}

}  // namespace

AdminApi::AdminApi(asio::any_io_executor executor, AdminParts parts, uint64_t max_blob_bytes)
    : executor_(std::move(executor)), parts_(std::move(parts)), max_blob_bytes_(max_blob_bytes) {}
AdminApi::~AdminApi() = default;

asio::awaitable<void> AdminApi::Handle(AdminConnection& connection) {
  const Result<> handled = co_await Dispatch(connection);
  if (handled || connection.answered() || handled.error().code == Code::kCancelled) co_return;
  // Nobody is left to read the answer where even that fails.
  const Result<> sent = co_await connection.SendError(handled.error());
  if (sent) co_await connection.Drain();
}

Awaitable<> AdminApi::Dispatch(AdminConnection& connection) {
  std::string allowed;
  for (const auto& [route, endpoint] : AdminRouteTable::kRows) {
    std::optional<std::string> place = Match(route.path, connection.path());
    if (!place) continue;
    if (route.method == connection.method()) {
      co_return co_await (this->*endpoint)(connection, std::move(*place));
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
  }
  if (!allowed.empty()) {
    co_return co_await connection.SendMethodNotAllowed(allowed);
  }
  co_return Fail(Code::kNotFound, "the admin API has no " + Quote(connection.path()) +
                                      "; docs/openapi.yaml lists what it has");
}

Awaitable<> AdminApi::GetNode(AdminConnection& connection, std::string /*place*/) {
  const std::string body = NodeJson(parts_.node(), parts_.deployer.count());
  co_return co_await connection.Send(200, kJson, body);
}

Awaitable<> AdminApi::PutBlob(AdminConnection& connection, std::string /*place*/) {
  BlobStore& blobs = parts_.blobs;
  auto begin = [&blobs] { return blobs.Begin(); };
  CO_TRY_ASSIGN(BlobStore::Upload upload, co_await parts_.control.Run(begin));
  while (true) {
    CO_TRY_ASSIGN(const std::string_view piece, co_await connection.ReadPiece(max_blob_bytes_));
    if (piece.empty()) break;
    auto write = [&upload, piece] { return upload.Write(piece); };
    CO_TRY(co_await parts_.control.Run(write));
  }
  if (upload.bytes() == 0) {
    co_return Fail(Code::kInvalidArgument, "the upload is empty");
  }
  auto commit = [&upload] { return upload.Commit(); };
  CO_TRY_ASSIGN(const Digest digest, co_await parts_.control.Run(commit));
  const std::string body = BlobJson(digest, upload.bytes());
  co_return co_await connection.Send(201, kJson, body);
}

Awaitable<> AdminApi::GetBlob(AdminConnection& connection, std::string digest) {
  const Digest wanted{std::move(digest)};
  BlobStore& blobs = parts_.blobs;
  auto touch = [&blobs, &wanted] { return blobs.Touch(wanted); };
  CO_TRY_ASSIGN(const uint64_t bytes, co_await parts_.control.Run(touch));
  const std::string body = BlobJson(wanted, bytes);
  co_return co_await connection.Send(200, kJson, body);
}

Awaitable<> AdminApi::ListFunctions(AdminConnection& connection, std::string /*place*/) {
  const std::string body = FunctionListJson(parts_.deployer.List(), parts_.node().policy);
  co_return co_await connection.Send(200, kJson, body);
}

Awaitable<> AdminApi::PostFunction(AdminConnection& connection, std::string /*place*/) {
  const bool events = connection.header("Accept").find(kLines) != std::string_view::npos;
  CO_TRY_ASSIGN(const std::string body, co_await connection.ReadBody(kMaxRequestBytes));
  CO_TRY_ASSIGN(DeployRequest request, ParseDeployRequest(body));
  Deployer::Progress progress;
  if (events) {
    progress = [&connection](std::string step, std::string message) {
      return connection.WriteEvent(ProgressEventJson(step, message));
    };
  }
  const Result<DeployOutcome> outcome =
      co_await parts_.deployer.Deploy(std::move(request), std::move(progress));
  if (!connection.answered()) {
    if (!outcome) co_return tl::unexpected<Error>(outcome.error());
    const std::string answer = DoneEventJson(*outcome);
    co_return co_await connection.Send(200, kJson, answer);
  }
  std::string last = outcome ? DoneEventJson(*outcome) : ErrorEventJson(outcome.error());
  co_await connection.WriteEvent(std::move(last));
  co_return co_await connection.End();
}

Awaitable<> AdminApi::GetFunction(AdminConnection& connection, std::string name) {
  CO_TRY(CheckFunctionName(name));
  FunctionName function{std::move(name)};
  CO_TRY_ASSIGN(const FunctionDescription description,
                co_await parts_.deployer.Describe(std::move(function)));
  const std::string body = FunctionJson(description, parts_.node().policy);
  co_return co_await connection.Send(200, kJson, body);
}

Awaitable<> AdminApi::DeleteFunction(AdminConnection& connection, std::string name) {
  CO_TRY(CheckFunctionName(name));
  const FunctionName function{std::move(name)};
  CO_TRY(co_await parts_.deployer.Remove(function));
  co_return co_await connection.Send(204, "", "");
}

Awaitable<> AdminApi::PostRollback(AdminConnection& connection, std::string name) {
  CO_TRY(CheckFunctionName(name));
  CO_TRY_ASSIGN(const std::string body, co_await connection.ReadBody(kMaxRequestBytes));
  CO_TRY_ASSIGN(const std::optional<RevisionId> to, ParseRollbackRequest(body));
  FunctionName function{std::move(name)};
  CO_TRY_ASSIGN(const DeployOutcome outcome,
                co_await parts_.deployer.Rollback(std::move(function), to));
  const std::string answer = DoneEventJson(outcome);
  co_return co_await connection.Send(200, kJson, answer);
}

Awaitable<> AdminApi::GetMetrics(AdminConnection& connection, std::string /*place*/) {
  const std::string body = parts_.metrics();
  co_return co_await connection.Send(200, "text/plain; version=0.0.4; charset=utf-8", body);
}

Awaitable<> AdminApi::GetLogs(AdminConnection& connection, std::string name) {
  CO_TRY(CheckFunctionName(name));
  CO_TRY_ASSIGN(const LogQuery query, ParseLogQuery(connection.query()));
  const FunctionName function{std::move(name)};
  if (!parts_.deployer.Has(function)) {
    co_return Fail(Code::kNotFound, "there is no function " + Quote(function.value));
  }
  std::string lines;
  for (const LogLine& line : parts_.logs.Tail(function, query.tail)) lines += LogLineJson(line);
  if (!query.follow) co_return co_await connection.Send(200, kLines, lines);
  // Nothing is awaited between Tail and Subscribe: no line is lost or comes twice.
  co_return co_await FollowLogs(connection, function, std::move(lines));
}

// Lines on their way to one follower. A follower that reads too slowly loses lines.
struct AdminApi::LogStream {
  explicit LogStream(const asio::any_io_executor& executor)
      : wake(executor, asio::steady_timer::time_point::max()) {}

  static constexpr size_t kMaxPendingBytes = 1u << 20;

  void Append(const LogLine& line) {
    if (pending.size() > kMaxPendingBytes) {
      ++lost;
    } else {
      pending += LogLineJson(line);
    }
    wake.cancel();
  }
  void End() {
    ended = true;
    wake.cancel();
  }
  /// What is to be sent now.
  std::string Take() {
    std::string lines = std::exchange(pending, {});
    if (lost > 0) {
      LogLine note;
      note.time = std::chrono::system_clock::now();
      note.text =
          std::to_string(std::exchange(lost, 0)) + " lines were left out: the reader is slow";
      lines += LogLineJson(note);
    }
    return lines;
  }

  std::string pending;
  uint64_t lost = 0;
  bool ended = false;
  asio::steady_timer wake;
};

Awaitable<> AdminApi::FollowLogs(AdminConnection& connection, FunctionName name,
                                 std::string first_lines) {
  // Shared by: this coroutine, and the watch on the peer, which may end after it.
  const auto stream = std::make_shared<LogStream>(executor_);
  stream->pending = std::move(first_lines);
  LogStream* const sink = stream.get();
  const FunctionLogs::Subscription subscription =
      parts_.logs.Subscribe(name, [sink](const LogLine& line) { sink->Append(line); });
  const auto place = streams_.insert(streams_.end(), sink);
  if (ended_) stream->End();
  Result<> sent = co_await connection.Begin(200, kLines);
  connection.WatchPeer([stream] { stream->End(); });
  while (sent) {
    const std::string lines = stream->Take();
    sent = co_await connection.Write(lines);
    if (!sent || stream->ended) break;
    if (!stream->pending.empty() || stream->lost > 0) continue;
    co_await stream->wake.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  streams_.erase(place);
  if (sent) sent = co_await connection.End();
  connection.Close();
  co_return sent;
}

void AdminApi::EndStreams() {
  ended_ = true;
  for (LogStream* stream : streams_) stream->End();
}

}  // namespace hybridserve

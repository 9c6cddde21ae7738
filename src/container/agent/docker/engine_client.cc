#include "container/agent/docker/engine_client.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <utility>

namespace hybridserve {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::minutes kTimeLimit{1};
constexpr uint64_t kLargestAnswer = 16 << 20;

using Stream = beast::basic_stream<asio::local::stream_protocol, asio::any_io_executor>;

Code CodeOfStatus(unsigned status) {
  switch (status) {
    case 400:
      return Code::kInvalidArgument;
    case 404:
      return Code::kNotFound;
    case 409:
      return Code::kConflict;
    default:
      return Code::kInternal;
  }
}

// {"message": "..."}
std::string MessageOf(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (json.is_object() && json.contains("message") && json["message"].is_string()) {
    return json["message"];
  }
  return body.substr(0, 256);
}

template <typename Body>
void SetHead(http::request<Body>& request, const std::string& method, const std::string& target) {
  request.version(11);
  request.method_string(method);
  request.target(target);
  request.set(http::field::host, "docker");
}

}  // namespace

std::string EscapeForUrl(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

Awaitable<EngineClient::Socket> EngineClient::Connect() {
  Socket socket(executor_);
  const std::string path = socket_.string();
  if (path.size() >= 108) {
    co_return Fail(Code::kInvalidArgument, "the socket's path is too long: " + path);
  }
  const asio::local::stream_protocol::endpoint endpoint(path);
  const auto [error] = co_await socket.async_connect(endpoint, kTuple);
  if (error) {
    co_return Fail(Code::kUnavailable, "cannot reach Docker Engine at " + path + ": " +
                                           error.message() + "; is it running?");
  }
  co_return std::move(socket);
}

template <typename Request>
Awaitable<EngineClient::Json> EngineClient::Exchange(Request request, Limit limit) {
  CO_TRY_ASSIGN(Socket socket, co_await Connect());
  Stream stream(std::move(socket));
  if (limit == Limit::kMinute) stream.expires_after(kTimeLimit);
  const auto failure = [this](const beast::error_code& error) {
    if (error == beast::error::timeout) {
      return Fail(Code::kTimeout, "Docker Engine at " + socket_.string() + " did not answer in " +
                                      std::to_string(kTimeLimit.count()) + " minute");
    }
    return Fail(Code::kUnavailable,
                "Docker Engine at " + socket_.string() + " went away: " + error.message());
  };
  const auto [not_sent, sent] = co_await http::async_write(stream, request, kTuple);
  // It may answer before it has read everything.
  if (not_sent == beast::error::timeout) co_return failure(not_sent);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kLargestAnswer);
  const auto [error, received] = co_await http::async_read(stream, buffer, parser, kTuple);
  if (error) co_return failure(not_sent ? not_sent : error);
  const std::string& body = parser.get().body();
  const unsigned status = parser.get().result_int();
  if (status >= 400) co_return Fail(CodeOfStatus(status), "Docker Engine: " + MessageOf(body));
  Json json = Json::parse(body, nullptr, false);
  co_return json.is_discarded() ? Json() : std::move(json);
}

Awaitable<EngineClient::Json> EngineClient::Ask(std::string method, std::string target, Json body) {
  http::request<http::string_body> request;
  SetHead(request, method, target);
  if (!body.is_null()) {
    request.set(http::field::content_type, "application/json");
    request.body() = body.dump();
  }
  request.prepare_payload();
  Result<Json> answer = co_await Exchange(std::move(request), Limit::kMinute);
  co_return answer;
}

Awaitable<EngineClient::Json> EngineClient::AskAndWait(std::string method, std::string target) {
  http::request<http::string_body> request;
  SetHead(request, method, target);
  request.prepare_payload();
  Result<Json> answer = co_await Exchange(std::move(request), Limit::kNone);
  co_return answer;
}

Awaitable<> EngineClient::SendFile(std::string method, std::string target,
                                   std::filesystem::path file) {
  http::request<http::file_body> request;
  SetHead(request, method, target);
  request.set(http::field::content_type, "application/x-tar");
  beast::error_code error;
  request.body().open(file.c_str(), beast::file_mode::scan, error);
  if (error) co_return Fail(Code::kInternal, "open " + file.string() + ": " + error.message());
  request.prepare_payload();
  CO_TRY(co_await Exchange(std::move(request), Limit::kNone));
  co_return Result<>{};
}

Awaitable<EngineClient::Upgraded> EngineClient::Upgrade(std::string target) {
  CO_TRY_ASSIGN(Socket socket, co_await Connect());
  http::request<http::empty_body> request;
  SetHead(request, "POST", target);
  request.set(http::field::upgrade, "tcp");
  request.set(http::field::connection, "Upgrade");
  request.prepare_payload();
  const auto [not_sent, sent] = co_await http::async_write(socket, request, kTuple);
  http::response_parser<http::empty_body> parser;
  parser.skip(true);
  beast::flat_buffer buffer;
  const auto [error, received] = co_await http::async_read_header(socket, buffer, parser, kTuple);
  if (not_sent || error) {
    co_return Fail(Code::kUnavailable, "Docker Engine at " + socket_.string() +
                                           " went away: " + (not_sent ? not_sent : error).message());
  }
  const unsigned status = parser.get().result_int();
  if (status >= 400) {
    co_return Fail(CodeOfStatus(status), "Docker Engine: status " + std::to_string(status));
  }
  co_return Upgraded{std::move(socket), beast::buffers_to_string(buffer.data())};
}

}  // namespace hybridserve

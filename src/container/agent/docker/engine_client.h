// EngineClient: requests to Docker Engine over its unix socket, in HTTP/1.1 and JSON.
//
// Each request has a connection of its own. A daemon that is away makes it fail with kUnavailable;
// the next one connects again. Answers are limited to 16 MiB.
//
// Source: Docker Engine API 1.41 (and later: the paths used here have no version).
//
// Thread rule: the executor's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/awaitable.h"

namespace hybridserve {

class EngineClient {
 public:
  using Json = nlohmann::json;
  using Socket = boost::asio::local::stream_protocol::socket;

  EngineClient(boost::asio::any_io_executor executor, std::filesystem::path socket)
      : executor_(std::move(executor)), socket_(std::move(socket)) {}

  /// `body` null: none. The answer's JSON; null when it has none.
  /// Errors: what the daemon says, by its status: 400 kInvalidArgument, 404 kNotFound, 409
  /// kConflict, else kInternal; kTimeout none came within a minute.
  Awaitable<Json> Ask(std::string method, std::string target, Json body);
  /// The same without a time limit.
  Awaitable<Json> AskAndWait(std::string method, std::string target);
  /// Sends the file as the body, of type application/x-tar.
  Awaitable<> SendFile(std::string method, std::string target, std::filesystem::path file);
  /// A connection that has become a stream, and what of it came with the answer's head.
  struct Upgraded {
    Socket socket;
    std::string first;
  };
  Awaitable<Upgraded> Upgrade(std::string target);

 private:
  enum class Limit : uint8_t { kMinute, kNone };
  Awaitable<Socket> Connect();
  template <typename Request>
  Awaitable<Json> Exchange(Request request, Limit limit);

  boost::asio::any_io_executor executor_;
  std::filesystem::path socket_;
};

/// What may not stand in a URL as itself is written as %XX.
std::string EscapeForUrl(std::string_view text);

}  // namespace hybridserve

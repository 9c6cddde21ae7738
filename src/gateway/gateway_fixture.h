// GatewayTest: a gateway over a loopback socket, a router on fakes, and a client that speaks raw
// bytes. All on one thread: waiting for something pumps the event loop, and the gateway's clock is
// moved by hand.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "gateway/gateway.h"
#include "router/fake.h"
#include "wasm/fake_backend.h"

namespace hybridserve {

/// One answer as the client got it.
struct ClientAnswer {
  int status = 0;
  std::string head;  ///< With its status line, without the empty line.
  std::string body;  ///< Without chunk framing.
  /// The value of a header, or "(none)".
  [[nodiscard]] std::string Get(std::string_view name) const;
};

/// A raw HTTP client. Blocks on nothing: it pumps `loop` until it has what it waits for, and fails
/// the test when that takes longer than ten seconds.
class Client {
 public:
  Client(boost::asio::io_context& loop, uint16_t port);

  void Send(std::string_view bytes);
  /// The next answer; nullopt when the connection ended before it was whole. `method` is that of
  /// the request: an answer to HEAD has no body.
  std::optional<ClientAnswer> Read(std::string_view method = "GET");
  std::optional<ClientAnswer> Exchange(std::string_view request);
  /// Waits for the server to close; false when more bytes came first.
  bool IsClosed();
  /// The server reset the connection.
  [[nodiscard]] bool was_reset() const { return was_reset_; }
  void Close() { fd_.Reset(); }
  /// Reads whatever has come, without waiting.
  void Drink();
  [[nodiscard]] std::string& received() { return received_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  template <typename Done>
  void Pump(Done done);
  std::optional<std::string> TakeChunked();

  boost::asio::io_context& loop_;
  UniqueFd fd_;
  std::string received_;
  bool ended_ = false;
  bool was_reset_ = false;
};

class GatewayTest : public testing::Test {
 protected:
  static constexpr uint32_t kWasmSlots = 4;

  void SetUp() override;
  void TearDown() override;
  /// Changes the configuration; before SetUp's gateway is used.
  void Restart();

  /// Deploys function "hello", changed by `change`.
  template <typename Change>
  DeployedPtr Deploy(Change change) {
    auto function = MakeFunction("hello");
    change(*function);
    router_.Deploy(function);
    return function;
  }

  Client Connect() { return {loop_, gateway_->port()}; }
  std::optional<ClientAnswer> Call(std::string_view request) { return Connect().Exchange(request); }
  static std::string Get(std::string_view path, std::string_view headers = "") {
    return "GET " + std::string(path) + " HTTP/1.1\r\nHost: node\r\n" + std::string(headers) +
           "\r\n";
  }
  static std::string Post(std::string_view body, std::string_view headers = "") {
    return "POST /function/hello HTTP/1.1\r\nHost: node\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n" + std::string(headers) + "\r\n" + std::string(body);
  }

  /// Runs the loop until `done()`; fails the test after ten seconds.
  template <typename Done>
  void PumpUntil(Done done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "nothing happened";
      loop_.restart();
      loop_.run_one_for(std::chrono::milliseconds(1));
    }
  }
  /// Moves the gateway's clock.
  void Advance(std::chrono::milliseconds time) { now_ += time; }

  std::chrono::steady_clock::time_point now_{std::chrono::seconds(1000)};
  NodeConfig config_;
  std::string out_of_service_;  ///< Of every function that is not deployed.
  boost::asio::io_context loop_;
  Metrics metrics_;
  FakeWasmBackend wasm_{loop_.get_executor(), kWasmSlots};
  FakePool pool_;
  Router router_{loop_.get_executor(), {}, &wasm_, &pool_, metrics_};
  std::unique_ptr<Gateway> gateway_;
};

}  // namespace hybridserve

#include "gateway/gateway_fixture.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace hybridserve {
namespace {

using std::chrono::milliseconds;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

}  // namespace

std::string ClientAnswer::Get(std::string_view name) const {
  const std::string lower = Lower(head);
  const size_t at = lower.find("\r\n" + Lower(name) + ": ");
  if (at == std::string::npos) return "(none)";
  const size_t from = at + 4 + name.size();
  return head.substr(from, head.find("\r\n", from) - from);
}

Client::Client(boost::asio::io_context& loop, uint16_t port)
    : loop_(loop), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // The kernel completes the connection from the listen backlog, so this does not block.
  if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    ended_ = true;
  }
}

template <typename Done>
void Client::Pump(Done done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done() && !ended_) {
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "the client waited in vain; it has: " << received_.substr(0, 400);
      return;
    }
    loop_.restart();
    loop_.run_one_for(milliseconds(1));
    Drink();
  }
}

void Client::Drink() {
  char buffer[64 * 1024];
  while (!ended_) {
    const ssize_t got = ::recv(fd_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got > 0) {
      received_.append(buffer, static_cast<size_t>(got));
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    was_reset_ = got < 0 && errno == ECONNRESET;
    ended_ = true;
  }
}

void Client::Send(std::string_view bytes) {
  Pump([this, &bytes] {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) bytes.remove_prefix(static_cast<size_t>(sent));
    return bytes.empty() || (sent < 0 && errno != EAGAIN);
  });
}

std::optional<std::string> Client::TakeChunked() {
  std::string body;
  size_t at = 0;
  while (true) {
    const size_t eol = received_.find("\r\n", at);
    if (eol == std::string::npos) return std::nullopt;
    const size_t size = std::stoul(received_.substr(at, eol - at), nullptr, 16);
    if (received_.size() < eol + 2 + size + 2) return std::nullopt;
    body.append(received_, eol + 2, size);
    at = eol + 2 + size + 2;
    if (size == 0) break;
  }
  received_.erase(0, at);
  return body;
}

std::optional<ClientAnswer> Client::Read(std::string_view method) {
  size_t end = 0;
  Pump([this, &end] { return (end = received_.find("\r\n\r\n")) != std::string::npos; });
  if ((end = received_.find("\r\n\r\n")) == std::string::npos) return std::nullopt;
  ClientAnswer answer;
  answer.head = received_.substr(0, end + 2);
  received_.erase(0, end + 4);
  answer.status = std::stoi(answer.head.substr(answer.head.find(' ') + 1, 3));
  if (method == "HEAD" || answer.status < 200 || answer.status == 204 || answer.status == 304) {
    return answer;
  }
  if (answer.Get("Transfer-Encoding") == "chunked") {
    std::optional<std::string> body;
    Pump([this, &body] { return (body = TakeChunked()).has_value(); });
    if (!body && !(body = TakeChunked())) return std::nullopt;
    answer.body = std::move(*body);
    return answer;
  }
  if (answer.Get("Content-Length") == "(none)") {
    Pump([] { return false; });
    answer.body = std::exchange(received_, {});
    if (was_reset_) return std::nullopt;
    return answer;
  }
  const size_t length = std::stoul(answer.Get("Content-Length"));
  Pump([this, length] { return received_.size() >= length; });
  if (received_.size() < length) return std::nullopt;
  answer.body = received_.substr(0, length);
  received_.erase(0, length);
  return answer;
}

std::optional<ClientAnswer> Client::Exchange(std::string_view request) {
  Send(request);
  return Read(request.substr(0, request.find(' ')));
}

bool Client::IsClosed() {
  Pump([this] { return !received_.empty(); });
  return ended_ && received_.empty();
}

void GatewayTest::SetUp() {
  pool_.SetFreed([this](const Deployed& function) { router_.OnSlotFreed(function); });
  Restart();
}

void GatewayTest::Restart() {
  Gateway::Options options;
  options.config = config_;
  options.tick = milliseconds(1);
  options.now = [this] { return now_; };
  options.out_of_service = [this](const FunctionName&) { return out_of_service_; };
  gateway_ = std::make_unique<Gateway>(loop_.get_executor(), std::move(options), router_, metrics_);
  const Result<> listening = gateway_->Listen({"127.0.0.1", 0});
  ASSERT_TRUE(listening) << listening.error().message;
}

void GatewayTest::TearDown() {
  wasm_.ReleaseAll();
  // Whatever a test left open, draining ends it.
  Await(loop_, gateway_->Drain());
  EXPECT_NE(metrics_.Serialize().find("hybridserve_connections 0"), std::string::npos);
}

}  // namespace hybridserve

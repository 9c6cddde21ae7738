#include "admin/connection.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "function/units.h"
#include "router/router.h"
#include "tls/stream.h"

namespace hybridserve {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr auto kUse = asio::as_tuple(asio::use_awaitable);
constexpr size_t kMaxHeadBytes = 16 * 1024;
constexpr size_t kPieceBytes = 256 * 1024;

using Stream = beast::basic_stream<asio::generic::stream_protocol>;

tl::unexpected<Error> Gone() { return Fail(Code::kCancelled, "the client went away"); }

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

bool IsBadHttp(const beast::error_code& error) {
  return error.category() == make_error_code(http::error::bad_version).category() &&
         error != http::error::end_of_stream && error != http::error::partial_message;
}

// What Asio has use for: it takes over a reference.
asio::ssl::context ContextOf(const TlsContextPtr& tls) {
  SSL_CTX_up_ref(tls.get());
  return asio::ssl::context(tls.get());
}

// Whether `head`, the first bytes that wait on a socket, can be no more than TLS's goodbye: a
// record of an alert, or one that is too short to hold a request.
bool IsGoodbye(const std::array<uint8_t, 5>& head) {
  constexpr uint8_t kAlert = 21;
  constexpr size_t kAlertBytes = 2 + 1 + 16;  // Its content, its real kind, the cipher's tag.
  return head[0] == kAlert || size_t{head[3]} * 256 + head[4] <= kAlertBytes;
}

}  // namespace

struct AdminConnection::Impl {
  Impl(asio::generic::stream_protocol::socket socket, AdminTimeouts timeouts_in,
       const TlsContextPtr& context)
      : stream(std::move(socket)), timeouts(timeouts_in) {
    if (!context) return;
    tls_context.emplace(ContextOf(context));
    tls.emplace(stream, *tls_context);
  }

  Awaitable<> WriteBytes(std::string_view bytes);
  asio::awaitable<beast::error_code> ReadHead();
  asio::awaitable<beast::error_code> ReadSome();

  Stream stream;
  std::optional<asio::ssl::context> tls_context;
  std::optional<asio::ssl::stream<Stream&>> tls;  // Over `stream`, whose time limits it has.
  const AdminTimeouts timeouts;
  beast::flat_buffer buffer;
  std::optional<http::request_parser<http::buffer_body>> parser;
  std::string path;
  std::string query;
  std::vector<char> pieces;  // Made for the first body.
  uint64_t body_bytes = 0;
  bool body_begun = false;
  bool answered = false;
  bool close_after = false;
};

AdminConnection::AdminConnection(asio::generic::stream_protocol::socket socket,
                                 AdminTimeouts timeouts, const TlsContextPtr& tls)
    : impl_(std::make_unique<Impl>(std::move(socket), timeouts, tls)) {}
AdminConnection::~AdminConnection() = default;

Awaitable<> AdminConnection::ShakeHands() {
  Impl& impl = *impl_;
  impl.stream.expires_after(impl.timeouts.piece);
  const auto [error] = co_await impl.tls->async_handshake(asio::ssl::stream_base::server, kUse);
  if (!error) co_return Result<>();
  impl.close_after = true;
  const bool plain =
      error.category() == asio::error::get_ssl_category() &&
      ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_HTTP_REQUEST;
  if (plain) {
    const std::string_view answer = PlainHttpAnswer();
    const auto buffer = asio::buffer(answer.data(), answer.size());
    const auto [write_error, bytes] = co_await asio::async_write(impl.stream, buffer, kUse);
    boost::system::error_code ignored;
    if (!write_error) impl.stream.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  }
  co_return Gone();
}

asio::awaitable<beast::error_code> AdminConnection::Impl::ReadHead() {
  if (tls) {
    const auto [error, bytes] = co_await http::async_read_header(*tls, buffer, *parser, kUse);
    co_return error;
  }
  const auto [error, bytes] = co_await http::async_read_header(stream, buffer, *parser, kUse);
  co_return error;
}

asio::awaitable<beast::error_code> AdminConnection::Impl::ReadSome() {
  if (tls) {
    const auto [error, bytes] = co_await http::async_read(*tls, buffer, *parser, kUse);
    co_return error;
  }
  const auto [error, bytes] = co_await http::async_read(stream, buffer, *parser, kUse);
  co_return error;
}

Awaitable<> AdminConnection::ReadHead() {
  Impl& impl = *impl_;
  impl.parser.emplace();
  impl.parser->header_limit(kMaxHeadBytes);
  impl.parser->body_limit(boost::none);
  impl.answered = false;
  impl.body_bytes = 0;
  impl.body_begun = false;
  impl.path.clear();
  impl.query.clear();
  impl.stream.expires_after(impl.timeouts.idle);
  const beast::error_code error = co_await impl.ReadHead();
  if (error) {
    impl.close_after = true;
    if (!IsBadHttp(error)) co_return Gone();
    co_return Fail(Code::kInvalidArgument, "the request is not HTTP/1.1: " + error.message());
  }
  const std::string_view target = View(impl.parser->get().target());
  impl.path = target.substr(0, target.find('?'));
  if (impl.path.size() < target.size()) impl.query = target.substr(impl.path.size() + 1);
  co_return Result<>();
}

std::string_view AdminConnection::method() const {
  return View(impl_->parser->get().method_string());
}
std::string_view AdminConnection::path() const { return impl_->path; }
std::string_view AdminConnection::query() const { return impl_->query; }

std::string_view AdminConnection::header(std::string_view name) const {
  const auto& fields = impl_->parser->get();
  const auto found = fields.find(beast::string_view(name.data(), name.size()));
  return found == fields.end() ? std::string_view() : View(found->value());
}

bool AdminConnection::keep_alive() const {
  return !impl_->close_after && impl_->parser->is_done() && impl_->parser->keep_alive();
}

Awaitable<std::string_view> AdminConnection::ReadPiece(uint64_t max_bytes) {
  Impl& impl = *impl_;
  const auto too_large = [max_bytes] {
    return Fail(Code::kTooLarge,
                "the request's body is larger than " + FormatSize(max_bytes) + " allow");
  };
  if (!std::exchange(impl.body_begun, true)) {
    impl.pieces.resize(kPieceBytes);
    const auto announced = impl.parser->content_length();
    if (announced && *announced > max_bytes) co_return too_large();
    if (beast::iequals(impl.parser->get()[http::field::expect], "100-continue")) {
      CO_TRY(co_await impl.WriteBytes("HTTP/1.1 100 Continue\r\n\r\n"));
    }
  }
  while (!impl.parser->is_done()) {
    auto& body = impl.parser->get().body();
    body.data = impl.pieces.data();
    body.size = impl.pieces.size();
    impl.stream.expires_after(impl.timeouts.piece);
    const beast::error_code error = co_await impl.ReadSome();
    if (error && error != http::error::need_buffer) {
      impl.close_after = true;
      if (IsBadHttp(error)) {
        co_return Fail(Code::kInvalidArgument,
                       "the request's body is malformed: " + error.message());
      }
      co_return Gone();
    }
    const size_t got = impl.pieces.size() - impl.parser->get().body().size;
    impl.body_bytes += got;
    if (impl.body_bytes > max_bytes) co_return too_large();
    if (got > 0) co_return std::string_view(impl.pieces.data(), got);
  }
  co_return std::string_view();
}

Awaitable<std::string> AdminConnection::ReadBody(uint64_t max_bytes) {
  std::string body;
  while (true) {
    CO_TRY_ASSIGN(const std::string_view piece, co_await ReadPiece(max_bytes));
    if (piece.empty()) co_return body;
    body += piece;
  }
}

Awaitable<> AdminConnection::Impl::WriteBytes(std::string_view bytes) {
  stream.expires_after(timeouts.piece);
  const auto buffers = asio::buffer(bytes.data(), bytes.size());
  beast::error_code error;
  if (tls) {
    const auto [failed, count] = co_await asio::async_write(*tls, buffers, kUse);
    error = failed;
  } else {
    const auto [failed, count] = co_await asio::async_write(stream, buffers, kUse);
    error = failed;
  }
  if (!error) co_return Result<>();
  close_after = true;
  co_return Gone();
}

Awaitable<> AdminConnection::Send(int status, std::string_view content_type, std::string_view body,
                                  std::string_view extra) {
  impl_->answered = true;
  const bool has_parser = impl_->parser && impl_->parser->is_header_done();
  // A body that was not read to its end cannot be told from the next request.
  if (!has_parser || !impl_->parser->is_done()) impl_->close_after = true;
  std::string answer = "HTTP/1.1 " + std::to_string(status) + " " +
                       std::string(View(http::obsolete_reason(static_cast<http::status>(status)))) +
                       "\r\n";
  if (!content_type.empty()) answer += "Content-Type: " + std::string(content_type) + "\r\n";
  if (status != 204) answer += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  if (!has_parser || !keep_alive()) answer += "Connection: close\r\n";
  answer += extra;
  answer += "\r\n";
  const bool head_only = has_parser && impl_->parser->get().method() == http::verb::head;
  if (!head_only) answer += body;
  co_return co_await impl_->WriteBytes(answer);
}

Awaitable<> AdminConnection::SendError(const Error& error) {
  const ErrorAnswer answer = MakeErrorAnswer(error);
  std::string extra;
  for (const Header& field : answer.head.headers) {
    if (field.name != "Content-Type") extra += field.name + ": " + field.value + "\r\n";
  }
  co_return co_await Send(answer.head.status, "application/json", answer.body, extra);
}

Awaitable<> AdminConnection::Begin(int status, std::string_view content_type) {
  impl_->answered = true;
  if (!impl_->parser->is_done()) impl_->close_after = true;
  std::string head = "HTTP/1.1 " + std::to_string(status) + " " +
                     std::string(View(http::obsolete_reason(static_cast<http::status>(status)))) +
                     "\r\nContent-Type: " + std::string(content_type) +
                     "\r\nTransfer-Encoding: chunked\r\n";
  if (!keep_alive()) head += "Connection: close\r\n";
  head += "\r\n";
  co_return co_await impl_->WriteBytes(head);
}

Awaitable<> AdminConnection::Write(std::string_view piece) {
  if (piece.empty()) co_return Result<>();  // An empty chunk would be the last.
  char size[24];
  const int length = std::snprintf(size, sizeof(size), "%zx\r\n", piece.size());
  std::string chunk(size, static_cast<size_t>(length));
  chunk += piece;
  chunk += "\r\n";
  co_return co_await impl_->WriteBytes(chunk);
}

Awaitable<> AdminConnection::End() { co_return co_await impl_->WriteBytes("0\r\n\r\n"); }

asio::awaitable<void> AdminConnection::WriteEvent(std::string line) {
  Result<> sent;
  if (!impl_->answered) sent = co_await Begin(200, "application/x-ndjson");
  if (sent) sent = co_await Write(line);
}

Awaitable<> AdminConnection::SendMethodNotAllowed(std::string_view allowed) {
  const Error error{Code::kInvalidArgument, std::string(path()) + " has no method " +
                                                Quote(method()) + ", only " + std::string(allowed)};
  const ErrorAnswer answer = MakeErrorAnswer(error, 405);
  const std::string extra = "Allow: " + std::string(allowed) + "\r\n";
  co_return co_await Send(405, "application/json", answer.body, extra);
}

bool AdminConnection::answered() const { return impl_->answered; }

void AdminConnection::WatchPeer(std::function<void()> gone) {
  auto& socket = impl_->stream.socket();
  const int fd = socket.native_handle();
  const bool over_tls = impl_->tls.has_value();
  socket.async_wait(asio::socket_base::wait_read,
                    [gone = std::move(gone), fd, over_tls](const boost::system::error_code& error) {
                      std::array<uint8_t, 5> head{};
                      const ssize_t got =
                          error ? 0 : ::recv(fd, head.data(), head.size(), MSG_PEEK | MSG_DONTWAIT);
                      // Bytes of a next request are no end; they wait for their turn.
                      const bool whole = got == static_cast<ssize_t>(head.size());
                      if (got > 0 && !(over_tls && whole && IsGoodbye(head))) return;
                      gone();
                    });
}

asio::awaitable<void> AdminConnection::Drain() {
  Impl& impl = *impl_;
  if (!impl.parser || !impl.parser->is_header_done() || impl.parser->is_done()) co_return;
  impl.pieces.resize(kPieceBytes);
  impl.stream.expires_after(impl.timeouts.linger);
  while (!impl.parser->is_done()) {
    auto& body = impl.parser->get().body();
    body.data = impl.pieces.data();
    body.size = impl.pieces.size();
    const beast::error_code error = co_await impl.ReadSome();
    if (error && error != http::error::need_buffer) co_return;
  }
}

void AdminConnection::Close() { impl_->stream.close(); }

}  // namespace hybridserve

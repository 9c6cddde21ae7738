#include "cli/http_client.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <optional>

#include "base/file.h"
#include "config/node_config.h"

namespace hybridserve::cli {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using Socket = asio::generic::stream_protocol::socket;
using TlsSocket = asio::ssl::stream<Socket&>;

constexpr size_t kPieceBytes = 256 * 1024;
/// Of a whole answer held in memory. The admin API's are small; a function's is at most 1 GiB.
constexpr uint64_t kLargestAnswer = 4ull << 30;

tl::unexpected<Error> ConnectFailure(const HttpAddress& address, const error_code& error) {
  const std::string what = "cannot connect to " + address.Text() + ": " + error.message();
  if (error == asio::error::connection_refused) return Fail(Code::kUnavailable, what);
  if (error == boost::system::errc::no_such_file_or_directory ||
      error == asio::error::host_not_found) {
    return Fail(Code::kNotFound, what);
  }
  if (error == asio::error::access_denied) return Fail(Code::kForbidden, what);
  return Fail(Code::kUnavailable, what);
}

Result<Socket> Connect(asio::io_context& context, const HttpAddress& address) {
  error_code error;
  Socket socket(context);
  if (!address.socket.empty()) {
    const std::string path = address.socket.string();
    if (path.size() >= 108) {
      return Fail(Code::kInvalidArgument, "the socket's path " + path +
                                              " is longer than the 107 bytes that a unix socket "
                                              "may have; use a shorter state folder");
    }
    socket.connect(asio::local::stream_protocol::endpoint(path), error);
    if (error) return ConnectFailure(address, error);
    return socket;
  }
  asio::ip::tcp::resolver resolver(context);
  const auto found = resolver.resolve(address.host, std::to_string(address.port), error);
  if (error) return ConnectFailure(address, error);
  for (const auto& entry : found) {
    socket.close(error);
    socket.connect(entry.endpoint(), error);
    if (!error) break;
  }
  if (error) return ConnectFailure(address, error);
  asio::ip::tcp::no_delay no_delay(true);
  socket.set_option(no_delay, error);
  return socket;
}

Result<> TrustIn(asio::ssl::context& context, const HttpAddress& address) {
  error_code error;
  if (address.ca.empty()) {
    context.set_default_verify_paths(error);
    if (error) return Fail(Code::kInternal, "this machine's certificates: " + error.message());
    return {};
  }
  context.load_verify_file(address.ca.string(), error);
  if (error) {
    return Fail(Code::kInvalidArgument, "--ca " + address.ca.string() +
                                            " holds no certificate in PEM that can be read (" +
                                            error.message() + ")");
  }
  return {};
}

/// Shakes hands and makes sure that it is `address` who answers.
Result<> ShakeHands(TlsSocket& stream, const HttpAddress& address) {
  error_code error;
  (void)asio::ip::make_address(address.host, error);
  if (error) SSL_set_tlsext_host_name(stream.native_handle(), address.host.c_str());
  stream.set_verify_mode(asio::ssl::verify_peer);
  stream.set_verify_callback(asio::ssl::host_name_verification(address.host));
  stream.handshake(asio::ssl::stream_base::client, error);
  if (!error) return {};
  const long verdict = SSL_get_verify_result(stream.native_handle());
  if (verdict != X509_V_OK) {
    return Fail(Code::kForbidden, "the certificate of " + address.Text() +
                                      " is not to be trusted (" +
                                      X509_verify_cert_error_string(verdict) +
                                      "); name the certificate of who issued it with --ca FILE");
  }
  const bool other_name =
      error.category() == asio::error::get_ssl_category() &&
      ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  if (other_name) {
    return Fail(Code::kForbidden, "the certificate of " + address.Text() +
                                      " is not for that name; write a name that it holds "
                                      "(`openssl x509 -noout -ext subjectAltName` shows them)");
  }
  return Fail(Code::kUnavailable, "no TLS with " + address.Text() + ": " + error.message() +
                                      "; is it served over plain http://?");
}

http::request<http::empty_body> HeadOf(const HttpAddress& address, const HttpRequest& request,
                                       uint64_t body_bytes) {
  http::request<http::empty_body> head;
  head.version(11);
  head.method_string(request.method);
  head.target(request.target);
  const bool ipv6 = address.host.find(':') != std::string::npos;
  head.set(http::field::host, !address.socket.empty() ? "node"
                              : ipv6 ? "[" + address.host + "]:" + std::to_string(address.port)
                                     : address.host + ":" + std::to_string(address.port));
  head.set(http::field::connection, "close");
  for (const Header& header : request.headers) {
    if (boost::beast::iequals(header.name, "host")) head.erase(http::field::host);
    head.insert(header.name, header.value);
  }
  const bool bodyless = request.method == "GET" || request.method == "HEAD";
  if (body_bytes > 0 || !bodyless) head.content_length(body_bytes);
  return head;
}

/// Sends `bytes` in pieces, so that progress shows.
template <typename Stream>
error_code SendText(Stream& socket, const HttpRequest& request) {
  error_code error;
  const std::string_view body = request.body;
  for (size_t at = 0; at < body.size() && !error;) {
    const std::string_view piece = body.substr(at, kPieceBytes);
    asio::write(socket, asio::buffer(piece), error);
    at += piece.size();
    if (request.on_progress) request.on_progress(at, body.size());
  }
  return error;
}

/// Sends exactly `size` bytes of the file. A file that shrinks meanwhile is an I/O error.
template <typename Stream>
error_code SendFile(Stream& socket, const HttpRequest& request, uint64_t size) {
  std::string piece(kPieceBytes, '\0');
  error_code error;
  for (uint64_t at = 0; at < size && !error;) {
    const size_t want = static_cast<size_t>(std::min<uint64_t>(size - at, piece.size()));
    const ssize_t got = ::pread(request.body_file, piece.data(), want, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {got < 0 ? errno : EIO, boost::system::generic_category()};
    asio::write(socket, asio::buffer(piece.data(), static_cast<size_t>(got)), error);
    at += static_cast<uint64_t>(got);
    if (request.on_progress) request.on_progress(at, size);
  }
  return error;
}

Result<uint64_t> BodyBytes(const HttpRequest& request) {
  if (request.body_file < 0) return request.body.size();
  const off_t size = ::lseek(request.body_file, 0, SEEK_END);
  if (size < 0) return FailErrno("size of the file to send");
  return static_cast<uint64_t>(size);
}

/// A server may answer and close before it has read everything: then the answer counts, not the
/// failure to send.
template <typename Stream>
Result<> Send(Stream& socket, const HttpAddress& address, const HttpRequest& request) {
  TRY_ASSIGN(const uint64_t size, BodyBytes(request));
  const auto head = HeadOf(address, request, size);
  http::request_serializer<http::empty_body> serializer(head);
  error_code error;
  http::write_header(socket, serializer, error);
  if (!error) {
    error = request.body_file >= 0 ? SendFile(socket, request, size) : SendText(socket, request);
  }
  if (!error || error == asio::error::broken_pipe || error == asio::error::connection_reset) {
    return {};
  }
  return Fail(Code::kInternal, "sending to " + address.Text() + ": " + error.message());
}

HttpAnswer AnswerHead(const http::response<http::buffer_body>& message) {
  HttpAnswer answer;
  answer.status = message.result_int();
  for (const auto& field : message) {
    answer.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  return answer;
}

template <typename Stream>
Result<HttpAnswer> Receive(Stream& socket, const HttpAddress& address, const HttpRequest& request,
                           const BodyConsumer& consume) {
  const auto fail = [&address](const error_code& error) {
    const bool gone = error == http::error::end_of_stream ||
                      error == http::error::partial_message ||
                      error == asio::ssl::error::stream_truncated;
    return Fail(Code::kInternal, "no whole answer from " + address.Text() + ": " +
                                     (gone ? "the connection ended early" : error.message()));
  };
  boost::beast::flat_buffer buffer;
  std::optional<http::response_parser<http::buffer_body>> parsed;
  error_code error;
  do {  // Once more for each interim answer (1xx).
    parsed.emplace();
    parsed->body_limit(boost::none);
    parsed->skip(request.method == "HEAD");
    http::read_header(socket, buffer, *parsed, error);
    if (error) return fail(error);
  } while (parsed->get().result_int() / 100 == 1);
  auto& parser = *parsed;
  HttpAnswer answer = AnswerHead(parser.get());
  std::array<char, 64 * 1024> piece{};
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    // read_some, not read: a line of a stream must not wait for the buffer to fill.
    http::read_some(socket, buffer, parser, error);
    if (error == http::error::need_buffer) error = {};
    if (error) return fail(error);
    const std::string_view got(piece.data(), piece.size() - parser.get().body().size);
    if (consume && answer.status < 400) {
      if (!got.empty()) TRY(consume(got));
    } else if (answer.body.size() + got.size() > kLargestAnswer) {
      return Fail(Code::kTooLarge, "the answer of " + address.Text() + " is over 4 GiB");
    } else {
      answer.body += got;
    }
  }
  return answer;
}

}  // namespace

Result<HttpAddress> HttpAddress::Parse(std::string_view text) {
  std::string_view rest = text;
  constexpr std::string_view kPlain = "http://";
  constexpr std::string_view kTls = "https://";
  const bool tls = rest.starts_with(kTls);
  const bool has_scheme = tls || rest.starts_with(kPlain);
  if (has_scheme) rest.remove_prefix(tls ? kTls.size() : kPlain.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const bool bare_ipv6 = rest.ends_with(']');
  std::string with_port(rest);
  if (has_scheme && (bare_ipv6 || rest.find(':') == std::string_view::npos)) {
    with_port += tls ? ":443" : ":80";
  }
  Result<HostPort> parsed = ParseHostPort(with_port);
  if (!parsed || parsed->port == 0) {
    return Fail(Code::kInvalidArgument, "'" + std::string(text) +
                                            "' is not the address of a node; write "
                                            "https://HOST:PORT, such as https://10.0.0.7:9090");
  }
  HttpAddress address;
  address.host = parsed->host;
  address.port = parsed->port;
  address.tls = tls;
  return address;
}

bool HttpAddress::IsLocal() const {
  if (!socket.empty() || host == "localhost") return true;
  error_code error;
  const asio::ip::address address = asio::ip::make_address(host, error);
  return !error && address.is_loopback();
}

std::string HttpAddress::Text() const {
  if (!socket.empty()) return socket.string();
  const bool ipv6 = host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string HttpAnswer::HeaderValue(std::string_view name) const {
  const auto same = [name](const Header& header) {
    return boost::beast::iequals(header.name, name);
  };
  const auto found = std::ranges::find_if(headers, same);
  return found == headers.end() ? std::string() : found->value;
}

Result<HttpAnswer> Fetch(const HttpAddress& address, const HttpRequest& request) {
  return FetchStream(address, request, nullptr);
}

Result<HttpAnswer> FetchStream(const HttpAddress& address, const HttpRequest& request,
                               const BodyConsumer& consume) {
  asio::io_context context(1);
  TRY_ASSIGN(Socket socket, Connect(context, address));
  if (address.tls) {
    asio::ssl::context trust(asio::ssl::context::tls_client);
    TRY(TrustIn(trust, address));
    TlsSocket stream(socket, trust);
    TRY(ShakeHands(stream, address));
    TRY(Send(stream, address, request));
    return Receive(stream, address, request, consume);
  }
  TRY(Send(socket, address, request));
  return Receive(socket, address, request, consume);
}

}  // namespace hybridserve::cli

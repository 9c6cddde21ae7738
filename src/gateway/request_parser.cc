#include "gateway/request_parser.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <optional>
#include <vector>

namespace hybridserve {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;

using ErrorCode = beast::error_code;
using BeastView = beast::string_view;

constexpr size_t kMaxRequestId = 128;

std::string_view View(BeastView text) { return {text.data(), text.size()}; }

tl::unexpected<RequestError> Refuse(int status, Code code, std::string message) {
  return tl::unexpected<RequestError>(RequestError{status, {code, std::move(message)}});
}
tl::unexpected<RequestError> BadRequest(std::string message) {
  return Refuse(400, Code::kInvalidArgument, std::move(message));
}

// What goes into logs and back into a header must be harmless in both.
bool IsUsableRequestId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxRequestId && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

// A head whose lines all end with CRLF, none of which continues the one before (RFC 9112 5.2).
bool HasFoldedOrBareLines(std::string_view head) {
  size_t at = 0;
  while ((at = head.find('\n', at)) != std::string_view::npos) {
    if (at == 0 || head[at - 1] != '\r') return true;
    ++at;
    if (at < head.size() && (head[at] == ' ' || head[at] == '\t')) return true;
  }
  return false;
}

// Collects one head into a RequestHead and passes body pieces on.
class Parser final : public http::basic_parser<true> {
 public:
  explicit Parser(RequestHead& request) : request_(request) {
    header_limit(UINT32_MAX);  // The caller bounds the head before it hands it over.
    body_limit(boost::none);   // The router bounds the body, per function.
  }

  std::string_view target;
  std::string_view piece;
  std::optional<RequestError> refusal;
  bool expects_continue = false;
  int version = 11;

  // Ends the head: headers that concern this connection only do not go on.
  void FinishHead() {
    request_.headers.resize(headers_);
    if (!listed_by_connection_.empty()) {
      std::erase_if(request_.headers, [this](const Header& header) {
        return std::any_of(
            listed_by_connection_.begin(), listed_by_connection_.end(),
            [&header](const std::string& name) { return beast::iequals(name, header.name); });
      });
    }
  }
  [[nodiscard]] size_t hosts() const { return hosts_; }

 private:
  void Reject(ErrorCode& error, int status, Code code, std::string message) {
    if (!refusal) refusal = RequestError{status, {code, std::move(message)}};
    error = http::error::bad_field;
  }

  void AddHeader(std::string_view name, std::string_view value) {
    if (headers_ == request_.headers.size()) request_.headers.emplace_back();
    Header& header = request_.headers[headers_++];
    header.name.assign(name);
    header.value.assign(value);
  }

  void TakeConnection(std::string_view value) {
    for (const BeastView token : http::token_list(BeastView(value.data(), value.size()))) {
      if (beast::iequals(token, "close") || beast::iequals(token, "keep-alive")) continue;
      listed_by_connection_.emplace_back(View(token));
    }
  }

  void TakeTransferEncoding(BeastView value, ErrorCode& error) {
    if (version < 11) {
      Reject(error, 400, Code::kInvalidArgument,
             "an HTTP/1.0 request cannot have a Transfer-Encoding; use HTTP/1.1");
    } else if (!beast::iequals(value, "chunked")) {
      Reject(error, 501, Code::kUnsupported,
             "the only Transfer-Encoding that this server takes is chunked");
    }
  }

  void on_request_impl(http::verb /*verb*/, BeastView method, BeastView to, int number,
                       ErrorCode& /*error*/) override {
    request_.method.assign(method.data(), method.size());
    target = View(to);
    version = number;
  }
  void on_response_impl(int, BeastView, int, ErrorCode&) override {}

  void on_field_impl(http::field field, BeastView name, BeastView value,
                     ErrorCode& error) override {
    if (is_header_done_) return;  // A trailer: there is nobody to give it to.
    if (headers_ >= kMax) {
      Reject(error, 431, Code::kTooLarge,
             "the request has more than " + std::to_string(kMax) + " headers");
      return;
    }
    switch (field) {
      case http::field::host:
        ++hosts_;
        request_.host.assign(value.data(), value.size());
        break;
      case http::field::connection:
        TakeConnection(View(value));
        return;
      case http::field::transfer_encoding:
        TakeTransferEncoding(value, error);
        return;
      case http::field::expect:
        if (!beast::iequals(value, "100-continue")) {
          Reject(error, 417, Code::kUnsupported, "the only Expect that is known is 100-continue");
        }
        expects_continue = version >= 11;
        return;
      case http::field::content_length:
      case http::field::keep_alive:
      case http::field::proxy_connection:
      case http::field::proxy_authorization:
      case http::field::te:
      case http::field::trailer:
      case http::field::upgrade:
        return;
      default:
        if (name.size() == 12 && beast::iequals(name, "X-Request-Id")) {
          if (!IsUsableRequestId(View(value))) return;
          request_.request_id.assign(value.data(), value.size());
        }
        break;
    }
    AddHeader(View(name), View(value));
  }

  void on_header_impl(ErrorCode& /*error*/) override { is_header_done_ = true; }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
  std::size_t on_body_impl(BeastView body, ErrorCode& /*error*/) override {
    piece = View(body);
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, BeastView, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView body, ErrorCode& /*error*/) override {
    piece = View(body);
    return body.size();
  }
  void on_finish_impl(ErrorCode& /*error*/) override {}

  static constexpr size_t kMax = RequestParser::kMaxHeaders;
  RequestHead& request_;
  size_t headers_ = 0;
  size_t hosts_ = 0;
  bool is_header_done_ = false;
  std::vector<std::string> listed_by_connection_;
};

RequestError FromBeast(const ErrorCode& error, std::string_view head) {
  if (error == http::error::bad_version) {
    // METHOD SP TARGET SP VERSION: with a space more it is no version that is wrong.
    const std::string_view line = head.substr(0, head.find('\r'));
    const size_t version = line.rfind(' ') + 1;
    const bool is_http = line.substr(version).starts_with("HTTP/") &&
                         std::count(line.begin(), line.end(), ' ') == 2;
    if (is_http) return {505, {Code::kUnsupported, "this server speaks HTTP/1.1 and HTTP/1.0"}};
  }
  return {400, {Code::kInvalidArgument, "the request is not valid HTTP: " + error.message()}};
}

}  // namespace

struct RequestParser::Impl {
  std::optional<Parser> parser;
};

RequestParser::RequestParser() : impl_(std::make_unique<Impl>()) {}
RequestParser::~RequestParser() = default;

tl::expected<void, RequestError> RequestParser::ParseHead(std::string_view head,
                                                          RequestHead& request) {
  request.request_id.clear();
  request.host.clear();
  Parser& parser = impl_->parser.emplace(request);
  if (HasFoldedOrBareLines(head)) {
    return BadRequest("a header line is folded or does not end with CRLF");
  }
  ErrorCode error;
  parser.put(boost::asio::const_buffer(head.data(), head.size()), error);
  if (parser.refusal) return tl::unexpected<RequestError>(std::move(*parser.refusal));
  if (error) return tl::unexpected<RequestError>(FromBeast(error, head));
  if (!parser.is_header_done()) return BadRequest("the request has no complete head");
  if (parser.hosts() > 1) return BadRequest("the request has two Host headers");
  if (parser.hosts() == 0 && parser.version >= 11) {
    return BadRequest("an HTTP/1.1 request needs a Host header");
  }
  parser.FinishHead();
  const auto length = parser.content_length();
  request.content_length = length ? std::optional<uint64_t>(*length) : std::optional<uint64_t>();
  request.has_body = !parser.is_done();
  return {};
}

std::string_view RequestParser::target() const { return impl_->parser->target; }
bool RequestParser::keep_alive() const { return impl_->parser->keep_alive(); }
bool RequestParser::is_http_1_0() const { return impl_->parser->version < 11; }
bool RequestParser::expects_continue() const { return impl_->parser->expects_continue; }
bool RequestParser::done() const { return impl_->parser->is_done(); }

Result<RequestParser::BodyStep> RequestParser::ParseBody(std::string_view bytes) {
  Parser& parser = *impl_->parser;
  parser.piece = {};
  ErrorCode error;
  BodyStep step;
  step.consumed = parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (error == http::error::need_more) return step;
  if (error) return Fail(Code::kInvalidArgument, "the body is badly framed: " + error.message());
  step.piece = parser.piece;
  return step;
}

size_t FindHeadEnd(std::string_view bytes, size_t& scanned) {
  const size_t end = bytes.find("\r\n\r\n", scanned);
  if (end != std::string_view::npos) return end + 4;
  scanned = bytes.size() < 3 ? 0 : bytes.size() - 3;
  return 0;
}

}  // namespace hybridserve

// Message: what the forward proxy makes of a function's request, and the bytes it sends on (RFC
// 9110 7.6, RFC 9112).
//
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "container/response_parser.h"
#include "function/invocation.h"
#include "function/network_pattern.h"
#include "telemetry/metrics.h"

namespace hybridserve {

/// Why the proxy itself answers.
struct EgressFailure {
  int status = 502;
  EgressResult result = EgressResult::kUnreachable;
  std::string_view proxy_error;  ///< Of RFC 9209 2.3, for Proxy-Status; a literal.
  Error error;
};

/// Where a request goes.
struct Outbound {
  Destination destination;
  std::string target;    ///< In origin form; empty for a tunnel.
  bool tunnel = false;   ///< CONNECT.
};

/// From a request's method and target: absolute form with http, or CONNECT with HOST:PORT.
/// The failure says what is wrong (400, or 501 for https, which needs CONNECT).
tl::expected<Outbound, EgressFailure> ParseOutbound(std::string_view method,
                                                    std::string_view target);

/// "host:port" for a Host header, an error and the log; the port is left out when it is 80.
std::string Authority(const Destination& destination);

/// Appends the head for the destination: `head` is a parsed request, so hop-by-hop headers are gone
/// from it. Host is the destination's; the connection serves this one request.
void AppendOutboundHead(std::string& out, const RequestHead& head, const Outbound& outbound);

/// How an answer is framed towards the function.
enum class AnswerEnd : uint8_t {
  kNone,     ///< No body; a Content-Length says what there would be (HEAD, 304).
  kLength,
  kChunked,
  kClose,    ///< Towards HTTP/1.0, without a length.
};
struct AnswerFraming {
  AnswerEnd end = AnswerEnd::kLength;
  std::optional<uint64_t> length;
  bool keep_alive = true;
};
/// Framing for an answer that a parser has read the head of.
AnswerFraming FrameAnswer(const ResponseParser& parser, bool http_1_0, bool keep_alive);
/// Appends status line, headers and the empty line. The headers were checked by ResponseParser.
void AppendAnswerHead(std::string& out, const ResponseHead& head, const AnswerFraming& framing);

/// The whole answer of a failure: the platform's JSON, with Proxy-Status (RFC 9209).
std::string FailureAnswer(const EgressFailure& failure, bool with_body, bool keep_alive);

}  // namespace hybridserve

#include "egress/message.h"

#include <boost/beast/http/status.hpp>

#include "function/units.h"
#include "gateway/target.h"
#include "router/router.h"

namespace hybridserve {
namespace {

constexpr uint16_t kHttpPort = 80;
constexpr uint16_t kHttpsPort = 443;
constexpr std::string_view kVia = "Via: 1.1 hybridserve\r\n";

bool EqualsIgnoringCase(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() && std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? static_cast<char>(x + ('a' - 'A')) : x) == y;
         });
}

tl::unexpected<EgressFailure> BadRequest(int status, Code code, std::string message) {
  return tl::unexpected<EgressFailure>(EgressFailure{
      status, EgressResult::kBadRequest, "http_request_error", {code, std::move(message)}});
}

tl::expected<Destination, EgressFailure> DestinationOf(std::string_view authority, uint16_t port) {
  Result<Destination> destination = ParseDestination(authority, port);
  if (destination) return std::move(*destination);
  return BadRequest(400, Code::kInvalidArgument,
                    "the request's host " + destination.error().message);
}

void AppendHeader(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

std::string_view ReasonPhrase(int status) {
  const auto text = boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(
      static_cast<unsigned>(status)));
  return {text.data(), text.size()};
}

}  // namespace

tl::expected<Outbound, EgressFailure> ParseOutbound(std::string_view method,
                                                    std::string_view target) {
  Outbound outbound;
  if (method == "CONNECT") {
    auto destination = DestinationOf(target, kHttpsPort);
    if (!destination) return tl::unexpected<EgressFailure>(std::move(destination.error()));
    outbound.destination = std::move(*destination);
    outbound.tunnel = true;
    return outbound;
  }
  const Result<Target> parsed = ParseTarget(target);
  if (!parsed) return BadRequest(400, Code::kInvalidArgument, parsed.error().message);
  if (parsed->authority.empty()) {
    return BadRequest(400, Code::kInvalidArgument,
                      "a request to this proxy needs a whole URL (GET http://HOST/PATH) or CONNECT");
  }
  if (EqualsIgnoringCase(target.substr(0, 6), "https:")) {
    return BadRequest(501, Code::kUnsupported,
                      "this proxy does no TLS; reach https hosts by CONNECT HOST:PORT");
  }
  auto destination = DestinationOf(parsed->authority, kHttpPort);
  if (!destination) return tl::unexpected<EgressFailure>(std::move(destination.error()));
  outbound.destination = std::move(*destination);
  outbound.target = parsed->path.empty() || parsed->path.front() != '/' ? "/" : parsed->path;
  if (!parsed->query.empty()) outbound.target.append("?").append(parsed->query);
  return outbound;
}

std::string Authority(const Destination& destination) {
  const bool six = destination.host.find(':') != std::string::npos;
  std::string text = six ? "[" + destination.host + "]" : destination.host;
  if (destination.port != kHttpPort) text += ":" + std::to_string(destination.port);
  return text;
}

void AppendOutboundHead(std::string& out, const RequestHead& head, const Outbound& outbound) {
  out.append(head.method).append(" ").append(outbound.target).append(" HTTP/1.1\r\n");
  AppendHeader(out, "Host", Authority(outbound.destination));
  for (const Header& header : head.headers) {
    if (!EqualsIgnoringCase(header.name, "host")) AppendHeader(out, header.name, header.value);
  }
  if (head.content_length) {
    AppendHeader(out, "Content-Length", std::to_string(*head.content_length));
  } else if (head.has_body) {
    out.append("Transfer-Encoding: chunked\r\n");
  }
  out.append(kVia).append("Connection: close\r\n\r\n");
}

AnswerFraming FrameAnswer(const ResponseParser& parser, bool http_1_0, bool keep_alive) {
  AnswerFraming framing;
  framing.length = parser.content_length();
  framing.keep_alive = keep_alive;
  if (parser.framing() == ResponseParser::Framing::kNone) {
    framing.end = AnswerEnd::kNone;
  } else if (parser.framing() == ResponseParser::Framing::kLength) {
    framing.end = AnswerEnd::kLength;
  } else if (http_1_0) {
    framing.end = AnswerEnd::kClose;
    framing.keep_alive = false;
  } else {
    framing.end = AnswerEnd::kChunked;
  }
  return framing;
}

void AppendAnswerHead(std::string& out, const ResponseHead& head, const AnswerFraming& framing) {
  out.append("HTTP/1.1 ").append(std::to_string(head.status)).append(" ");
  out.append(ReasonPhrase(head.status)).append("\r\n");
  for (const Header& header : head.headers) AppendHeader(out, header.name, header.value);
  if (framing.end == AnswerEnd::kChunked) {
    out.append("Transfer-Encoding: chunked\r\n");
  } else if (framing.length) {
    AppendHeader(out, "Content-Length", std::to_string(*framing.length));
  }
  out.append(kVia);
  out.append(framing.keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}

std::string FailureAnswer(const EgressFailure& failure, bool with_body, bool keep_alive) {
  ErrorAnswer answer = MakeErrorAnswer(failure.error, failure.status);
  answer.head.headers.push_back(
      {"Proxy-Status", "hybridserve; error=" + std::string(failure.proxy_error)});
  std::string out;
  AppendAnswerHead(out, answer.head, {AnswerEnd::kLength, answer.body.size(), keep_alive});
  if (with_body) out.append(answer.body);
  return out;
}

}  // namespace hybridserve

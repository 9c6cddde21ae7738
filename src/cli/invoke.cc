// `hybridserve invoke`: sends one request to a function through the gateway.
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/format.h"
#include "function/manifest.h"

namespace hybridserve::cli {
namespace {

constexpr uint64_t kLargestBody = 4ull << 30;

Result<std::string> ReadStandardInput() {
  std::string all;
  std::string piece(64 * 1024, '\0');
  for (;;) {
    const ssize_t got = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailErrno("read standard input");
    if (got == 0) return all;
    all.append(piece, 0, static_cast<size_t>(got));
    if (all.size() > kLargestBody) return Fail(Code::kTooLarge, "standard input is over 4 GiB");
  }
}

Result<std::string> ReadData(const std::string& data) {
  if (!data.starts_with('@')) return data;
  if (data == "@-") return ReadStandardInput();
  return ReadFile(data.substr(1), kLargestBody);
}

bool HasControl(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

Result<Header> ParseHeader(const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos || colon == 0 || HasControl(text) ||
      text.substr(0, colon).find_first_of(" \t") != std::string::npos) {
    return Fail(Code::kInvalidArgument,
                "'" + Printable(text) + "' is no header; write -H 'Name: value'");
  }
  const size_t value = text.find_first_not_of(" \t", colon + 1);
  return Header{text.substr(0, colon), value == std::string::npos ? "" : text.substr(value)};
}

/// "wasm" and "container" are short for the policies that only use them.
Result<std::string> PolicyOfRoute(const std::string& route) {
  if (route == "wasm") return std::string("wasm-only");
  if (route == "container") return std::string("container-only");
  TRY_ASSIGN(const PolicyKind policy, ParsePolicy(route));
  return std::string(PolicyName(policy));
}

Result<HttpRequest> MakeRequest(const InvokeOptions& options) {
  TRY(CheckFunctionName(options.name));
  HttpRequest request;
  request.method = !options.method.empty() ? options.method : options.data ? "POST" : "GET";
  const std::string& path = options.path;
  const bool rooted = path.starts_with('/') || path.starts_with('?') || path.empty();
  request.target = "/function/" + options.name + (rooted ? "" : "/") + (path == "/" ? "" : path);
  if (HasControl(request.method) || request.method.find(' ') != std::string::npos) {
    return Fail(Code::kInvalidArgument, "'" + Printable(request.method) + "' is no HTTP method");
  }
  if (HasControl(request.target) || request.target.find(' ') != std::string::npos) {
    return Fail(Code::kInvalidArgument,
                "the path '" + Printable(path) + "' has a space or a control character; write %20");
  }
  if (options.data) {
    TRY_ASSIGN(request.body, ReadData(*options.data));
  }
  for (const std::string& text : options.headers) {
    TRY_ASSIGN(Header header, ParseHeader(text));
    request.headers.push_back(std::move(header));
  }
  std::string key = Variable("HYBRIDSERVE_KEY");
  if (!options.key_file.empty()) {
    TRY_ASSIGN(key, ReadWord(options.key_file, "a key of the function"));
  }
  if (!key.empty()) request.headers.push_back({"Authorization", "Bearer " + key});
  if (!options.route.empty()) {
    TRY_ASSIGN(std::string policy, PolicyOfRoute(options.route));
    request.headers.push_back({"HybridServe-Route", std::move(policy)});
  }
  return request;
}

/// Where the node's functions are served. A gateway that listens on every address is reached by the
/// host that the node was reached by.
Result<HttpAddress> GatewayOf(const InvokeOptions& options, const Session& session) {
  if (!options.gateway.empty()) return session.ParseAddress(options.gateway);
  TRY_ASSIGN(const AdminClient client, session.Connect());
  TRY_ASSIGN(const Json node, client.Node());
  TRY_ASSIGN(HttpAddress gateway, session.ParseAddress(TextAt(node, "/gateway")));
  gateway.tls = FlagAt(node, "/gateway_tls");
  const HttpAddress& admin = client.address();
  const bool any = gateway.host == "0.0.0.0" || gateway.host == "::";
  if (any) gateway.host = admin.socket.empty() ? admin.host : "127.0.0.1";
  return gateway;
}

/// "queue;dur=0.004, start;dur=0.094" as phase and milliseconds.
std::vector<std::pair<std::string, std::string>> ServerTimings(const std::string& header) {
  std::vector<std::pair<std::string, std::string>> timings;
  for (size_t begin = 0; begin < header.size();) {
    const size_t end = std::min(header.find(',', begin), header.size());
    std::string_view entry = std::string_view(header).substr(begin, end - begin);
    begin = end + 1;
    entry.remove_prefix(std::min(entry.find_first_not_of(' '), entry.size()));
    const size_t mark = entry.find(";dur=");
    if (mark == std::string_view::npos) continue;
    timings.emplace_back(entry.substr(0, mark), entry.substr(mark + 5));
  }
  return timings;
}

/// How the request was served, for -v.
std::string Report(const HttpAnswer& answer, std::chrono::microseconds total) {
  const auto header = [&answer](const char* name) { return Printable(answer.HeaderValue(name)); };
  std::string text = "HTTP " + std::to_string(answer.status);
  if (const std::string backend = header("HybridServe-Backend"); !backend.empty()) {
    text += ", " + backend + ", " + header("HybridServe-Start") + " start (" +
            header("HybridServe-Reason") + ")";
  }
  text += "\n";
  for (const auto& [phase, milliseconds] : ServerTimings(header("Server-Timing"))) {
    text += phase + " " + milliseconds + " ms, ";
  }
  text += "total " + HumanDuration(total) + " at the client\n";
  if (const std::string id = header("X-Request-Id"); !id.empty()) text += "request " + id + "\n";
  return text;
}

// What JSON can carry as a string.
bool IsUtf8(const std::string& text) {
  try {
    (void)Json(text).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

std::string Base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

void PrintAnswerAsJson(const Session& session, const HttpAnswer& answer,
                       std::chrono::microseconds total) {
  Json headers = Json::object();
  for (const Header& header : answer.headers) headers[header.name] = header.value;
  Json timing = Json::object();
  for (const auto& [phase, milliseconds] : ServerTimings(answer.HeaderValue("Server-Timing"))) {
    timing[phase] = std::strtod(milliseconds.c_str(), nullptr);
  }
  Json object{{"status", answer.status},
              {"backend", answer.HeaderValue("HybridServe-Backend")},
              {"start", answer.HeaderValue("HybridServe-Start")},
              {"reason", answer.HeaderValue("HybridServe-Reason")},
              {"timing_ms", timing},
              {"total_ms", static_cast<double>(total.count()) / 1000},
              {"headers", headers}};
  if (IsUtf8(answer.body)) {
    object["body"] = answer.body;
  } else {
    object["body_base64"] = Base64(answer.body);
  }
  session.PrintJson(object);
}

/// The body; of a failure also the status. Why the node gave up is no answer of the function's: it
/// goes where errors go.
void PrintAnswer(const Session& session, const HttpAnswer& answer) {
  const Terminal& terminal = session.terminal;
  const std::string status = "HTTP " + std::to_string(answer.status);
  if (answer.status >= 400) {
    const Json body = Json::parse(answer.body, nullptr, false);
    const std::string message = TextAt(body, "/error/message");
    if (!message.empty() && !TextAt(body, "/error/code").empty()) {
      terminal.Note("hybridserve: " + message + " (" + status + ")\n");
      return;
    }
  }
  terminal.Print(answer.body);
  const bool needs_newline =
      terminal.decorate && !answer.body.empty() && !answer.body.ends_with('\n');
  if (needs_newline) terminal.Print("\n");
  std::fflush(terminal.out);
  if (answer.status >= 400) terminal.Note(status + "\n");
}

}  // namespace

Outcome RunInvoke(const InvokeOptions& options, const Session& session) {
  TRY_ASSIGN(const HttpRequest request, MakeRequest(options));
  TRY_ASSIGN(const HttpAddress gateway, GatewayOf(options, session));
  const auto begun = std::chrono::steady_clock::now();
  TRY_ASSIGN(const HttpAnswer answer, Fetch(gateway, request));
  const auto total = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - begun);
  if (session.json()) {
    PrintAnswerAsJson(session, answer, total);
  } else {
    PrintAnswer(session, answer);
    if (options.verbose) session.terminal.Note(Report(answer, total));
  }
  return answer.status < 400 ? 0 : ExitCode(CodeOfStatus(answer.status));
}

}  // namespace hybridserve::cli

#include "admin/admin_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "admin/test_parts.h"
#include "base/digest.h"
#include "base/file.h"
#include "function/keys.h"
#include "tls/test_pair.h"

namespace hybridserve {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

struct Answer {
  int status = 0;
  std::string head;
  std::string body;  ///< Chunks put together.
  [[nodiscard]] json Json() const { return json::parse(body, nullptr, false); }
  [[nodiscard]] std::string Error() const {
    const json parsed = Json();
    return parsed.is_object() && parsed.contains("error")
               ? parsed["error"]["message"].get<std::string>()
               : "no error: " + body;
  }
};

// A blocking client of one connection, for a thread of its own.
class Client {
 public:
  explicit Client(const std::filesystem::path& socket_path)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{AF_UNIX, {}};
    socket_path.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    Connect(reinterpret_cast<sockaddr*>(&address), sizeof(address));
  }
  explicit Client(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Connect(reinterpret_cast<sockaddr*>(&address), sizeof(address));
  }

  void Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // The answer tells.
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  // Up to and with `end`; what came before the connection's end where it does not come.
  std::string ReadTo(const std::string& end) {
    while (buffer_.find(end) == std::string::npos && Fill()) {
    }
    const size_t at = buffer_.find(end);
    return Take(at == std::string::npos ? buffer_.size() : at + end.size());
  }
  Answer ReadAnswer(bool head_only = false) {
    Answer answer;
    answer.head = ReadTo("\r\n\r\n");
    if (answer.head.size() > 12) answer.status = std::stoi(answer.head.substr(9, 3));
    if (answer.status == 204 || answer.status == 100 || head_only) return answer;
    const size_t length = answer.head.find("Content-Length: ");
    if (length != std::string::npos) {
      const size_t bytes = std::stoul(answer.head.substr(length + 16));
      while (buffer_.size() < bytes && Fill()) {
      }
      answer.body = Take(std::min(bytes, buffer_.size()));
    } else {
      for (std::string chunk = ReadChunk(); !chunk.empty(); chunk = ReadChunk()) {
        answer.body += chunk;
      }
    }
    return answer;
  }
  // Empty at the last chunk, or at the connection's end.
  std::string ReadChunk() {
    const std::string size = ReadTo("\r\n");
    if (size.empty()) return "";
    const size_t bytes = std::stoul(size, nullptr, 16);
    while (buffer_.size() < bytes + 2 && Fill()) {
    }
    std::string chunk = Take(std::min(bytes, buffer_.size()));
    Take(std::min<size_t>(2, buffer_.size()));
    return chunk;
  }
  bool AtEnd() { return buffer_.empty() && !Fill(); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  void FinishWriting() { ::shutdown(fd_.get(), SHUT_WR); }

 private:
  void Connect(const sockaddr* address, socklen_t bytes) {
    const timeval limit{20, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    EXPECT_EQ(::connect(fd_.get(), address, bytes), 0);
  }
  bool Fill() {
    char bytes[4096];
    const ssize_t got = ::recv(fd_.get(), bytes, sizeof(bytes), 0);
    if (got > 0) buffer_.append(bytes, static_cast<size_t>(got));
    return got > 0;
  }
  std::string Take(size_t bytes) {
    std::string taken = buffer_.substr(0, bytes);
    buffer_.erase(0, bytes);
    return taken;
  }

  UniqueFd fd_;
  std::string buffer_;
};

std::string Request(const std::string& method, const std::string& path,
                    const std::string& body = "", const std::string& headers = "") {
  std::string text = method + " " + path + " HTTP/1.1\r\nHost: node\r\n" + headers;
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return text + "\r\n" + body;
}

class AdminServerTest : public DeployerFixture {
 protected:
  ~AdminServerTest() override {
    if (server_) StopServer();
  }

  AdminOptions Options() const {
    AdminOptions options;
    options.socket = folder_.path() / "admin.sock";
    options.max_blob_bytes = 1u << 20;
    return options;
  }
  Result<> Listen(AdminOptions options) {
    if (!deployer_) Start();
    options_used_ = options;
    NodeInfo info;
    info.gateway = "127.0.0.1:8080";
    AdminParts parts{*deployer_,
                     *blobs_,
                     control_,
                     logs_,
                     [info] { return info; },
                     [] { return std::string("metric 1\n"); }};
    server_ = std::make_unique<AdminServer>(loop_.executor(), options, std::move(parts));
    return server_->Listen();
  }
  void Serve() { ASSERT_TRUE(Listen(Options())); }
  void StopServer() {
    auto stop = [](AdminServer* server) -> Awaitable<> {
      EXPECT_TRUE(co_await server->Stop(std::chrono::steady_clock::time_point::max()));
      co_return Result<>();
    };
    loop_.Await(stop(server_.get()));
    server_.reset();
  }

  // Runs `talk` with a client in a thread, and the node here.
  template <typename Talk>
  auto With(Talk talk) {
    auto future = std::async(std::launch::async, [this, talk] {
      Client client(options_used_.socket);
      return talk(client);
    });
    loop_.RunUntil([&future] {
      return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    });
    return future.get();
  }
  Answer Ask(const std::string& request) {
    return With([request](Client& client) {
      client.Write(request);
      return client.ReadAnswer(request.starts_with("HEAD"));
    });
  }
  Answer Ask(const std::string& method, const std::string& path, const std::string& body = "",
             const std::string& headers = "") {
    return Ask(Request(method, path, body, headers));
  }
  // Uploads a module and returns a deploy's body.
  std::string DeployBody(const std::string& name, const std::string& salt = "") {
    const Digest module = Upload(MakeModule(1, salt));
    return json{{"manifest", {{"name", name}, {"wasm", {{"module", "a.wasm"}}}}},
                {"module", module.value}}
        .dump();
  }

  FunctionLogs logs_;
  AdminOptions options_used_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, AFunctionsWholeLife) {
  Serve();
  const std::string module = MakeModule();
  const Answer uploaded = Ask("PUT", "/v1/blobs", module);
  EXPECT_EQ(uploaded.status, 201);
  const std::string digest = Sha256(module).value;
  EXPECT_EQ(uploaded.Json(), (json{{"digest", digest}, {"bytes", module.size()}}));
  EXPECT_EQ(Ask("HEAD", "/v1/blobs/" + digest).status, 200);
  EXPECT_EQ(Ask("GET", "/v1/blobs/" + digest).Json()["bytes"], module.size());

  const Answer first = Ask("POST", "/v1/functions", DeployBody("hello"));
  EXPECT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.Json(),
            (json{{"event", "done"}, {"name", "hello"}, {"revision", 1}, {"changed", true}}));
  EXPECT_EQ(Ask("POST", "/v1/functions", DeployBody("hello")).Json()["changed"], false);
  EXPECT_EQ(Ask("POST", "/v1/functions", DeployBody("hello", "two")).Json()["revision"], 2);
  EXPECT_EQ(served_["hello"]->revision.value, 2);

  const json list = Ask("GET", "/v1/functions").Json();
  ASSERT_EQ(list["functions"].size(), 1u);
  EXPECT_EQ(list["functions"][0]["name"], "hello");
  EXPECT_EQ(list["functions"][0]["builds"], json::array({"wasm"}));

  const Answer back = Ask("POST", "/v1/functions/hello/rollback");
  EXPECT_EQ(back.Json()["revision"], 1) << back.body;
  EXPECT_EQ(Ask("POST", "/v1/functions/hello/rollback", "{\"to\":2}").Json()["revision"], 2);
  const json described = Ask("GET", "/v1/functions/hello").Json();
  EXPECT_EQ(described["revision"], 2);
  EXPECT_EQ(described["history"].size(), 4u);
  EXPECT_EQ(described["manifest"]["limits"]["memory"], 128 << 20);

  EXPECT_EQ(Ask("DELETE", "/v1/functions/hello").status, 204);
  EXPECT_EQ(Ask("GET", "/v1/functions/hello").status, 404);
  EXPECT_TRUE(served_.empty());
}

TEST_F(AdminServerTest, ADeployTellsItsStepsLineByLine) {
  Serve();
  const Answer answer =
      Ask("POST", "/v1/functions", DeployBody("hello"), "Accept: application/x-ndjson\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.head, HasSubstr("Content-Type: application/x-ndjson"));
  std::vector<std::string> events;
  std::istringstream lines(answer.body);
  for (std::string line; std::getline(lines, line);) {
    const json event = json::parse(line);
    events.push_back(event["event"].get<std::string>() + " " + event.value("step", ""));
  }
  EXPECT_THAT(events, ElementsAre("progress compile", "progress commit", "done "));
}

TEST_F(AdminServerTest, AFailureOnTheWayIsTheLastEventAndAnEarlyOneAStatus) {
  Serve();
  const std::string accept = "Accept: application/x-ndjson\r\n";
  wasm_.SetPrepareError(Error{Code::kInvalidArgument, "unknown import env.open_door"});
  const Answer late = Ask("POST", "/v1/functions", DeployBody("hello"), accept);
  EXPECT_EQ(late.status, 200);
  const json last = json::parse(late.body.substr(late.body.find('\n') + 1));
  EXPECT_EQ(last["event"], "error");
  EXPECT_EQ(last["error"]["code"], "invalid_argument");
  EXPECT_EQ(last["error"]["message"], "unknown import env.open_door");
  const Answer plain = Ask("POST", "/v1/functions", DeployBody("hello"));
  EXPECT_EQ(plain.status, 400);
  EXPECT_EQ(plain.Error(), "unknown import env.open_door");

  const Answer early = Ask("POST", "/v1/functions",
                           R"({"manifest":{"name":"a","wasm":{"module":"a","x":1}}})", accept);
  EXPECT_EQ(early.status, 400);
  EXPECT_THAT(early.Error(), StartsWith("manifest: unknown key 'x' in [wasm]"));
  EXPECT_TRUE(served_.empty());
}

TEST_F(AdminServerTest, BadRequestsAreAnsweredClearlyAndChangeNothing) {
  Serve();
  ASSERT_EQ(Ask("POST", "/v1/functions", DeployBody("hello")).status, 200);
  const std::string before = Snapshot();
  const std::string missing(64, 'a');
  const auto with_name = [](const std::string& name) {
    return json{{"manifest", {{"name", name}, {"wasm", {{"module", "x"}}}}}}.dump();
  };
  struct Case {
    std::string method, path, body;
    int status;
    std::string words;
  };
  const std::vector<Case> cases = {
      {"POST", "/v1/functions", "", 400, "not JSON"},
      {"POST", "/v1/functions", "{}", 400, "needs manifest"},
      {"POST", "/v1/functions", with_name("a/b"), 400, "slash"},
      {"POST", "/v1/functions", with_name(std::string(300, 'a')), 400, "300 bytes"},
      {"POST", "/v1/functions", with_name("a"), 400, "names no module"},
      {"POST", "/v1/functions", std::string((1 << 20) + 1, ' '), 413, "larger than 1MiB"},
      {"GET", "/v1/functions/nobody", "", 404, "there is no function 'nobody'"},
      {"GET", "/v1/functions/No", "", 400, "upper-case"},
      {"DELETE", "/v1/functions/nobody", "", 404, "'nobody'"},
      {"POST", "/v1/functions/nobody/rollback", "", 404, "'nobody'"},
      {"POST", "/v1/functions/hello/rollback", "{\"to\":99}", 404, "no revision 99"},
      {"POST", "/v1/functions/hello/rollback", "{\"to\":\"x\"}", 400, "number of a revision"},
      {"GET", "/v1/functions/nobody/logs", "", 404, "'nobody'"},
      {"GET", "/v1/functions/hello/logs?tail=x", "", 400, "tail is 'x'"},
      {"GET", "/v1/functions/hello/logs?tail=100001", "", 400, "from 0 to 100000"},
      {"GET", "/v1/functions/hello/logs?last=3", "", 400, "known are tail=N and follow"},
      {"GET", "/v1/blobs/" + missing, "", 404, "upload it first"},
      {"GET", "/v1/blobs/short", "", 400, "not a SHA-256 digest"},
      {"PUT", "/v1/blobs", "", 400, "empty"},
      {"GET", "/v2/node", "", 404, "has no '/v2/node'"},
      {"GET", "/v1/functions/a/b", "", 404, "has no"},
      {"PATCH", "/v1/functions", "", 405, "GET, POST"},
  };
  for (const Case& row : cases) {
    const Answer answer = Ask(row.method, row.path, row.body);
    EXPECT_EQ(answer.status, row.status) << row.method << " " << row.path << answer.body;
    EXPECT_THAT(answer.Error(), HasSubstr(row.words)) << row.method << " " << row.path;
    EXPECT_TRUE(answer.Json()["error"].contains("code"));
  }
  EXPECT_EQ(Snapshot(), before);
  EXPECT_THAT(Ask("PATCH", "/v1/functions").head, HasSubstr("Allow: GET, POST\r\n"));
  EXPECT_EQ(Ask("HEAD", "/v1/blobs/" + missing).status, 404);
}

TEST_F(AdminServerTest, WhatIsNoHttpIsAnsweredAndTheConnectionEnded) {
  Serve();
  for (const std::string& garbage : {std::string("hello\r\n\r\n"), std::string(64 * 1024, 'x'),
                                     "GET /" + std::string(64 * 1024, 'x') + " HTTP/1.1\r\n\r\n"}) {
    const auto [answer, end] = With([&garbage](Client& client) {
      client.Write(garbage);
      const Answer got = client.ReadAnswer();
      return std::pair(got, client.AtEnd());
    });
    EXPECT_EQ(answer.status, 400) << garbage.substr(0, 20);
    EXPECT_TRUE(end);
  }
}

TEST_F(AdminServerTest, ManyRequestsComeOverOneConnection) {
  Serve();
  const int good = With([](Client& client) {
    int answered = 0;
    for (int i = 0; i < 5; ++i) {
      client.Write(Request("GET", "/v1/node") + Request("GET", "/metrics"));
      answered += client.ReadAnswer().Json()["gateway"] == "127.0.0.1:8080" ? 1 : 0;
      answered += client.ReadAnswer().body == "metric 1\n" ? 1 : 0;
    }
    return answered;
  });
  EXPECT_EQ(good, 10);
}

TEST_F(AdminServerTest, AnUploadMayBeChunkedAndMayAskFirst) {
  Serve();
  const Answer chunked =
      Ask("PUT /v1/blobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
          "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.status, 201) << chunked.body;
  EXPECT_EQ(chunked.Json()["digest"], Sha256("hello world").value);
  const auto [first, second] = With([](Client& client) {
    client.Write(
        "PUT /v1/blobs HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
        "Expect: 100-continue\r\n\r\n");
    const Answer go_on = client.ReadAnswer();
    client.Write("abc");
    return std::pair(go_on, client.ReadAnswer());
  });
  EXPECT_EQ(first.status, 100);
  EXPECT_EQ(second.status, 201);
}

TEST_F(AdminServerTest, AnUploadOverTheLimitIsRefused) {
  Serve();
  const Answer announced =
      Ask("PUT /v1/blobs HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n");
  EXPECT_EQ(announced.status, 413);
  EXPECT_THAT(announced.Error(), HasSubstr("1MiB"));
  std::string body = "PUT /v1/blobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 3; ++i) body += "80000\r\n" + std::string(0x80000, 'x') + "\r\n";
  EXPECT_EQ(Ask(body + "0\r\n\r\n").status, 413);
  EXPECT_TRUE(blobs_->List()->empty());
  EXPECT_TRUE(std::filesystem::is_empty(options_.state_folder / "blobs/tmp"));
}

TEST_F(AdminServerTest, AnUploadThatIsCutOffLeavesNothing) {
  Serve();
  const bool end = With([](Client& client) {
    client.Write("PUT /v1/blobs HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf");
    client.FinishWriting();
    return client.AtEnd();
  });
  EXPECT_TRUE(end);
  EXPECT_TRUE(blobs_->List()->empty());
  loop_.RunUntil([this] { return std::filesystem::is_empty(options_.state_folder / "blobs/tmp"); });
}

TEST_F(AdminServerTest, LogsAreLinesOfJson) {
  Serve();
  ASSERT_EQ(Ask("POST", "/v1/functions", DeployBody("hello")).status, 200);
  for (int i = 0; i < 5; ++i) {
    logs_.Append(FunctionName{"hello"}, LogSource::kWasm, "line " + std::to_string(i));
  }
  const Answer answer = Ask("GET", "/v1/functions/hello/logs?tail=2");
  EXPECT_EQ(answer.status, 200);
  std::istringstream lines(answer.body);
  std::vector<std::string> texts;
  for (std::string line; std::getline(lines, line);) {
    const json parsed = json::parse(line);
    EXPECT_EQ(parsed["source"], "wasm");
    texts.push_back(parsed["text"]);
  }
  EXPECT_THAT(texts, ElementsAre("line 3", "line 4"));
  EXPECT_EQ(Ask("GET", "/v1/functions/hello/logs?tail=0").body, "");
}

TEST_F(AdminServerTest, AFollowerGetsTheTailThenEachLineAsItComes) {
  Serve();
  ASSERT_EQ(Ask("POST", "/v1/functions", DeployBody("hello")).status, 200);
  const FunctionName name{"hello"};
  logs_.Append(name, LogSource::kWasm, "before");
  std::promise<void> got_first;
  auto first = got_first.get_future();
  auto future = std::async(std::launch::async, [this, &got_first] {
    Client client(options_used_.socket);
    client.Write(Request("GET", "/v1/functions/hello/logs?follow=1"));
    client.ReadTo("\r\n\r\n");
    std::vector<std::string> texts = {json::parse(client.ReadChunk())["text"]};
    got_first.set_value();
    texts.push_back(json::parse(client.ReadChunk())["text"]);
    return texts;
  });
  const auto ready = [](auto& f) {
    return f.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  };
  loop_.RunUntil([&] { return ready(first); });
  logs_.Append(name, LogSource::kContainer, "after");
  loop_.RunUntil([&] { return ready(future); });
  EXPECT_THAT(future.get(), ElementsAre("before", "after"));
}

TEST_F(AdminServerTest, StopEndsFollowersAndIdleConnections) {
  Serve();
  ASSERT_EQ(Ask("POST", "/v1/functions", DeployBody("hello")).status, 200);
  std::promise<void> both_open;
  auto open = both_open.get_future();
  auto ended = std::async(std::launch::async, [this, &both_open] {
    Client follower(options_used_.socket);
    follower.Write(Request("GET", "/v1/functions/hello/logs?follow=1"));
    follower.ReadTo("\r\n\r\n");
    Client idle(options_used_.socket);
    idle.Write(Request("GET", "/metrics"));
    idle.ReadAnswer();
    both_open.set_value();
    return follower.ReadChunk().empty() && follower.AtEnd() && idle.AtEnd();
  });
  loop_.RunUntil(
      [&open] { return open.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
  StopServer();
  EXPECT_TRUE(ended.get());
  EXPECT_FALSE(std::filesystem::exists(options_used_.socket));
}

TEST_F(AdminServerTest, AFollowerThatGoesAwayIsForgotten) {
  Serve();
  ASSERT_EQ(Ask("POST", "/v1/functions", DeployBody("hello")).status, 200);
  With([](Client& client) {
    client.Write(Request("GET", "/v1/functions/hello/logs?follow=1"));
    return client.ReadTo("\r\n\r\n");
  });
  // The client is gone; nothing waits for it at the end.
  for (int i = 0; i < 3; ++i) {
    logs_.Append(FunctionName{"hello"}, LogSource::kWasm, "unheard");
    loop_.Settle();
  }
  StopServer();
}

// The same with TLS over TCP; the test's certificate is not looked at.
class TlsClient {
 public:
  explicit TlsClient(uint16_t port)
      : socket_(port), context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_)) {
    SSL_set_fd(ssl_, socket_.fd());
    connected_ = SSL_connect(ssl_) == 1;
  }
  ~TlsClient() {
    SSL_shutdown(ssl_);
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  // What comes as the answer, up to `end`.
  std::string Ask(const std::string& request, const std::string& end) {
    EXPECT_GT(SSL_write(ssl_, request.data(), static_cast<int>(request.size())), 0);
    std::string got;
    char byte = 0;
    while (got.find(end) == std::string::npos && SSL_read(ssl_, &byte, 1) == 1) got += byte;
    return got;
  }

 private:
  Client socket_;
  SSL_CTX* context_;
  SSL* ssl_;
  bool connected_ = false;
};

class AdminTcpTest : public AdminServerTest {
 protected:
  // With a certificate, and a file with the token.
  AdminOptions TcpOptions() {
    const TestPair pair = MakeTestPair(1);
    const std::filesystem::path certificate = folder_.path() / "c.pem";
    const std::filesystem::path key = folder_.path() / "k.pem";
    EXPECT_TRUE(WriteFileAtomically(certificate, pair.certificate));
    EXPECT_TRUE(WriteFileAtomically(key, pair.key, 0400));
    EXPECT_TRUE(WriteFileAtomically(folder_.path() / "tokens", KeyLine("test", token_)));
    AdminOptions options = Options();
    options.listen = "127.0.0.1:0";
    options.certificate = TlsCertificate::Open("admin", certificate, key).value();
    options.tokens = KeyFile::Open(folder_.path() / "tokens").value();
    return options;
  }
  [[nodiscard]] uint16_t port() const {
    return static_cast<uint16_t>(std::stoi(server_->tcp_address().substr(10)));
  }
  std::string Ask(const std::string& headers) {
    return With([port = port(), headers](Client&) {
      return TlsClient(port).Ask(Request("GET", "/v1/node", "", headers), "}");
    });
  }
  const std::string token_ = MakeKey();
};

TEST_F(AdminTcpTest, TheTokenIsNeeded) {
  ASSERT_TRUE(Listen(TcpOptions()));
  ASSERT_THAT(server_->tcp_address(), StartsWith("127.0.0.1:"));
  EXPECT_THAT(Ask("Authorization: Bearer " + token_ + "\r\n"), StartsWith("HTTP/1.1 200 "));
  for (const std::string& headers : {std::string(), "Authorization: Bearer " + MakeKey() + "\r\n",
                                     "Authorization: " + token_ + "\r\n"}) {
    const std::string refused = Ask(headers);
    EXPECT_THAT(refused, StartsWith("HTTP/1.1 401 "));
    EXPECT_THAT(refused, HasSubstr("WWW-Authenticate: Bearer\r\n"));
    EXPECT_THAT(refused, HasSubstr("Authorization: Bearer TOKEN"));
  }
}

TEST_F(AdminTcpTest, ATokenWhoseLineIsTakenOutIsRefused) {
  AdminOptions options = TcpOptions();
  ASSERT_TRUE(Listen(options));
  ASSERT_TRUE(WriteFileAtomically(folder_.path() / "tokens", KeyLine("other", MakeKey())));
  options.tokens->ReloadIfChanged();
  EXPECT_THAT(Ask("Authorization: Bearer " + token_ + "\r\n"), StartsWith("HTTP/1.1 401 "));
}

TEST_F(AdminTcpTest, AClientWithoutTlsIsToldSo) {
  ASSERT_TRUE(Listen(TcpOptions()));
  const Answer answer = With([port = port()](Client&) {
    Client client(port);
    client.Write(Request("GET", "/v1/node"));
    return client.ReadAnswer();
  });
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.Error(), HasSubstr("use https://"));
}

TEST_F(AdminTcpTest, ALogWhoseReaderSaidGoodbyeMakesRoom) {
  AdminOptions options = TcpOptions();
  options.max_connections = 2;  // One of which is for TCP.
  ASSERT_TRUE(Listen(options));
  ASSERT_EQ(AdminServerTest::Ask("POST", "/v1/functions", DeployBody("a")).status, 200);
  const std::string follow = Request("GET", "/v1/functions/a/logs?follow=1", "",
                                     "Authorization: Bearer " + token_ + "\r\n");
  const std::string head =
      With([port = port(), follow](Client&) { return TlsClient(port).Ask(follow, "\r\n\r\n"); });
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 "));
  const bool has_room = With([port = port()](Client&) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < deadline) {
      if (TlsClient(port).connected()) return true;
    }
    return false;
  });
  EXPECT_TRUE(has_room);
}

TEST_F(AdminTcpTest, ConnectionsLeaveRoomForTheSocket) {
  AdminOptions options = TcpOptions();
  options.max_connections = 4;
  ASSERT_TRUE(Listen(options));
  const Answer answer = With([port = port()](Client& over_the_socket) {
    Client first(port);
    Client second(port);
    Client third(port);
    EXPECT_TRUE(third.AtEnd());
    over_the_socket.Write(Request("GET", "/v1/node"));
    return over_the_socket.ReadAnswer();
  });
  EXPECT_EQ(answer.status, 200);
}

TEST_F(AdminTcpTest, WithoutACertificateOrATokenOrOnATakenPortItIsRefused) {
  AdminOptions without_token = TcpOptions();
  without_token.tokens = nullptr;
  AdminOptions options = TcpOptions();
  AdminOptions without_certificate = options;
  without_certificate.certificate = nullptr;
  for (const AdminOptions& lacking : {without_token, without_certificate}) {
    const Result<> refused = Listen(lacking);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message,
                HasSubstr("set admin.tls_certificate, admin.tls_key and admin.token_file"));
  }

  const UniqueFd other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof(address);
  ASSERT_EQ(::bind(other.get(), reinterpret_cast<sockaddr*>(&address), bytes), 0);
  ASSERT_EQ(::listen(other.get(), 1), 0);
  ::getsockname(other.get(), reinterpret_cast<sockaddr*>(&address), &bytes);
  options.listen = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  const Result<> listening = Listen(options);
  ASSERT_FALSE(listening);
  EXPECT_EQ(listening.error().code, Code::kConflict);
  EXPECT_THAT(listening.error().message, HasSubstr(options.listen));
}

TEST_F(AdminServerTest, TheSocketIsForItsGroupAndReplacesAStaleOne) {
  std::ofstream(Options().socket) << "stale";
  Serve();
  struct stat status {};
  ASSERT_EQ(::stat(Options().socket.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777, 0660u);
}

TEST_F(AdminServerTest, ASocketPathThatIsTooLongIsRefused) {
  AdminOptions options = Options();
  options.socket = folder_.path() / std::string(120, 'x');
  const Result<> listening = Listen(options);
  ASSERT_FALSE(listening);
  EXPECT_THAT(listening.error().message, HasSubstr("state folder with a shorter path"));
}

}  // namespace
}  // namespace hybridserve

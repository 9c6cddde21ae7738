#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "container/init/answer.h"
#include "container/init/http_request.h"

namespace hybridserve::init {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using namespace std::chrono_literals;

/// A port that nothing listens on: the system's choice, given back just before it is used.
uint16_t FreePort() {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

/// One connection to the program under test.
class Client {
 public:
  explicit Client(uint16_t port) : port_(port) { Connect(); }

  void Send(const std::string& bytes) { ASSERT_TRUE(WriteAll(fd_.get(), bytes)); }
  /// What comes until `until` has come, the connection ends, or 10 s pass.
  std::string Read(const std::string& until) {
    std::string bytes;
    char buffer[65536];
    pollfd entry{fd_.get(), POLLIN, 0};
    while (bytes.find(until) == std::string::npos && poll(&entry, 1, 10000) > 0) {
      const ssize_t got = recv(fd_.get(), buffer, sizeof(buffer), 0);
      if (got <= 0) break;
      bytes.append(buffer, static_cast<size_t>(got));
    }
    return bytes;
  }
  /// Sends a request and reads its whole answer, by Content-Length or to the last chunk.
  std::string Ask(const std::string& request) {
    Send(request);
    std::string answer = Read("\r\n\r\n");
    const size_t head = answer.find("\r\n\r\n");
    if (head == std::string::npos) return answer;
    const size_t at = answer.find("Content-Length: ");
    if (at == std::string::npos || at > head) {
      if (answer.find("Transfer-Encoding: chunked") < head &&
          answer.find("0\r\n\r\n", head) == std::string::npos) {
        answer += Read("0\r\n\r\n");
      }
      return answer;
    }
    const size_t length = std::stoul(answer.substr(at + 16));
    while (answer.size() < head + 4 + length) {
      const std::string more = Read("");
      if (more.empty()) break;
      answer += more;
    }
    return answer;
  }
  void Close() { fd_.Reset(); }
  [[nodiscard]] bool connected() const { return static_cast<bool>(fd_); }

 private:
  void Connect() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (const auto end = std::chrono::steady_clock::now() + 10s;
         std::chrono::steady_clock::now() < end;) {
      UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
        fd_ = std::move(fd);
        return;
      }
      std::this_thread::sleep_for(1ms);
    }
  }

  uint16_t port_;
  UniqueFd fd_;
};

/// Runs hybridserve-init over a shell script.
class InitTest : public testing::Test {
 protected:
  void Start(const std::string& script) {
    port_ = FreePort();
    std::ofstream(folder_.path() / "script") << "cd " << folder_.path().string() << "\n" << script;
    const std::string program = ProgramFolder() / "hybridserve-init";
    const std::string path = folder_.path() / "script";
    std::vector<const char*> argv = {program.c_str(), "/bin/sh", path.c_str(), nullptr};
    const std::string port = "PORT=" + std::to_string(port_);
    std::vector<const char*> environment = {port.c_str(), "GREETING=hello world",
                                            "PATH=/usr/bin:/bin", nullptr};
    ASSERT_EQ(posix_spawn(&pid_, program.c_str(), nullptr, nullptr, const_cast<char**>(argv.data()),
                          const_cast<char**>(environment.data())),
              0);
  }
  void TearDown() override {
    if (pid_ == 0) return;
    kill(pid_, SIGTERM);
    int status = 0;
    waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "SIGTERM ends it cleanly";
  }
  /// Waits until the file is there and has content.
  std::string WaitForFile(const std::string& name) {
    for (const auto end = std::chrono::steady_clock::now() + 10s;
         std::chrono::steady_clock::now() < end;) {
      auto content = ReadFile(folder_.path() / name);
      if (content && content->ends_with('\n')) return *content;
      std::this_thread::sleep_for(1ms);
    }
    return "";
  }

  TemporaryFolder folder_;
  uint16_t port_ = 0;
  pid_t pid_ = 0;
};

std::string Get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"; }
std::string Post(const std::string& body) {
  return "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

TEST_F(InitTest, AnswersWithWhatTheProgramPrints) {
  Start("printf 'Content-Type: text/plain\\nX-A: b\\n\\nbody\\n'");
  Client client(port_);
  const std::string answer = client.Ask(Get("/"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answer, HasSubstr("X-A: b\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\nbody\n"));
}

TEST_F(InitTest, PutsTheRequestIntoTheEnvironment) {
  Start("printf 'Content-Type: text/plain\\n\\n'; env");
  Client client(port_);
  const std::string answer = client.Ask(
      "GET /a%20b?c=d HTTP/1.1\r\nHost: h:1\r\nX-Forwarded-For: 9.9.9.9, 1.2.3.4\r\n"
      "X-Forwarded-Prefix: /function/f\r\nX-Forwarded-Proto: http\r\nX-Thing: yes\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("REQUEST_METHOD=GET\n"));
  EXPECT_THAT(answer, HasSubstr("QUERY_STRING=c=d\n"));
  EXPECT_THAT(answer, HasSubstr("SCRIPT_NAME=/function/f\n"));
  EXPECT_THAT(answer, HasSubstr("REMOTE_ADDR=1.2.3.4\n"));
  EXPECT_THAT(answer, HasSubstr("HTTP_X_THING=yes\n"));
  EXPECT_THAT(answer, HasSubstr("HTTP_X_FORWARDED_FOR=9.9.9.9\n")) << "the client's own";
  EXPECT_THAT(answer, Not(HasSubstr("HTTP_X_FORWARDED_PROTO")));
  EXPECT_THAT(answer, HasSubstr("GREETING=hello world\n")) << "the container's own environment";
  EXPECT_THAT(answer, Not(HasSubstr("\nPORT=")));
}

TEST_F(InitTest, GivesTheBodyOnStandardInput) {
  Start("printf 'Content-Type: text/plain\\n\\n%s:' $CONTENT_LENGTH; cat");
  Client client(port_);
  EXPECT_THAT(client.Ask(Post("some body")), testing::EndsWith("9:some body"));
  EXPECT_THAT(client.Ask(Post("again")), testing::EndsWith("5:again"))
      << "the connection is kept alive";
  EXPECT_THAT(client.Ask("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
              testing::EndsWith("5:abcde"));
}

TEST_F(InitTest, StreamsABigBodyThrough) {
  Start("printf 'Content-Type: text/plain\\n\\n'; cat");
  Client client(port_);
  const std::string body(8 << 20, 'b');
  std::thread sender([&client, &body] { client.Send(Post(body)); });
  const std::string answer = client.Read("\r\n0\r\n\r\n");
  sender.join();
  const size_t head = answer.find("\r\n\r\n") + 4;
  EXPECT_THAT(answer.substr(0, head), HasSubstr("Transfer-Encoding: chunked"));
  std::string_view rest = std::string_view(answer).substr(head);
  std::string echoed;
  ChunkDecoder decoder;
  ASSERT_TRUE(decoder.Decode(rest, echoed));
  EXPECT_TRUE(decoder.done());
  EXPECT_EQ(echoed == body, true) << echoed.size() << " bytes came back";
}

TEST_F(InitTest, AFailedProgramIs502WithItsStatus) {
  Start(
      "printf 'Content-Type: text/plain\\n\\nnever seen'; [ \"$QUERY_STRING\" = kill ] && kill -9 "
      "$$; "
      "exit 3");
  Client client(port_);
  std::string answer = client.Ask(Get("/"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 502 "));
  EXPECT_THAT(answer, HasSubstr("exited with status 3"));
  EXPECT_THAT(answer, Not(HasSubstr("never seen")));
  answer = client.Ask(Get("/?kill"));
  EXPECT_THAT(answer, HasSubstr("was ended by signal 9"));
}

TEST_F(InitTest, BadCgiHeadersAre502) {
  Start("echo this is no header");
  Client client(port_);
  EXPECT_THAT(client.Ask(Get("/")), StartsWith("HTTP/1.1 502 "));
}

TEST_F(InitTest, AFailureAfterStreamingHasBegunCutsTheAnswerOff) {
  Start("printf 'Content-Type: text/plain\\n\\n'; head -c 300000 /dev/zero; exit 1");
  Client client(port_);
  client.Send(Get("/"));
  const std::string answer = client.Read("0\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answer, Not(testing::EndsWith("0\r\n\r\n")));
}

TEST_F(InitTest, AProgramThatIgnoresItsBodyStillAnswers) {
  Start("printf 'Content-Type: text/plain\\n\\nok'");
  Client client(port_);
  EXPECT_THAT(client.Ask(Post(std::string(40000, 'x'))), testing::EndsWith("ok"));
}

TEST_F(InitTest, AClientThatGoesAwayEndsTheProgram) {
  Start("echo $$ >pid; sleep 1000");
  Client client(port_);
  client.Send(Get("/"));
  const pid_t program = std::stoi(WaitForFile("pid"));
  client.Close();
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (kill(program, 0) == 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_NE(kill(program, 0), 0) << "process " << program << " still runs";
}

TEST_F(InitTest, WhatAProgramLeavesBehindIsEndedAndHoldsNothingUp) {
  Start("printf 'Content-Type: text/plain\\n\\nok'; sleep 1000 & echo $! >left");
  Client client(port_);
  EXPECT_THAT(client.Ask(Get("/")), testing::EndsWith("ok"));
  const pid_t left = std::stoi(WaitForFile("left"));
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (kill(left, 0) == 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_NE(kill(left, 0), 0);
}

TEST_F(InitTest, ServesManyConnectionsAtOnce) {
  Start("printf 'Content-Type: text/plain\\n\\n'; cat");
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([this, i, &good] {
      Client client(port_);
      for (int turn = 0; turn < 10; ++turn) {
        const std::string body = "client " + std::to_string(i) + " turn " + std::to_string(turn);
        good += client.Ask(Post(body)).ends_with(body);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 160);
}

TEST_F(InitTest, HeadHasNoBodyAndBadRequestsAre400) {
  Start("printf 'Content-Type: text/plain\\n\\nbody'");
  Client client(port_);
  client.Send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + Get("/"));
  const std::string answers = client.Read("\r\n\r\nbody");
  EXPECT_EQ(answers.find("body"), answers.rfind("body"));
  Client bad(port_);
  bad.Send("nonsense\r\n\r\n");
  EXPECT_THAT(bad.Read("\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  Client smuggler(port_);
  smuggler.Send(
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_THAT(smuggler.Read("\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(InitTest, AProgramThatIsNotThereIsNamed) {
  port_ = FreePort();
  const std::string program = ProgramFolder() / "hybridserve-init";
  std::vector<const char*> argv = {program.c_str(), "/no/such/program", nullptr};
  const std::string port = "PORT=" + std::to_string(port_);
  std::vector<const char*> environment = {port.c_str(), nullptr};
  ASSERT_EQ(posix_spawn(&pid_, program.c_str(), nullptr, nullptr, const_cast<char**>(argv.data()),
                        const_cast<char**>(environment.data())),
            0);
  Client client(port_);
  const std::string answer = client.Ask(Get("/"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 502 "));
  EXPECT_THAT(answer, HasSubstr("/no/such/program"));
}

struct BadRequest {
  std::string name, text;
};
class BadRequestTest : public testing::TestWithParam<BadRequest> {};

TEST_P(BadRequestTest, IsRefused) { EXPECT_FALSE(ParseRequest(GetParam().text)); }

INSTANTIATE_TEST_SUITE_P(
    Init, BadRequestTest,
    testing::Values(BadRequest{"NoVersion", "GET /\r\n\r\n"},
                    BadRequest{"Http2", "GET / HTTP/2\r\n\r\n"},
                    BadRequest{"AbsoluteTarget", "GET http://a/ HTTP/1.1\r\n\r\n"},
                    BadRequest{"SpaceInTarget", "GET /a b HTTP/1.1\r\n\r\n"},
                    BadRequest{"SpaceInName", "GET / HTTP/1.1\r\nA b: c\r\n\r\n"},
                    BadRequest{"NoColon", "GET / HTTP/1.1\r\nabc\r\n\r\n"},
                    BadRequest{"ControlByte", "GET / HTTP/1.1\r\nA: b\x01\r\n\r\n"},
                    BadRequest{"BareReturn", "GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n"},
                    BadRequest{"NegativeLength", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"},
                    BadRequest{"TwoLengths",
                               "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"},
                    BadRequest{"HugeLength",
                               "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"},
                    BadRequest{"Gzip", "GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n"}),
    [](const auto& test) { return test.param.name; });

TEST(Answer, AStringInAnErrorIsEscaped) {
  EXPECT_EQ(ErrorBody({Code::kFunctionFailed, "a \"b\"\\\n"}),
            "{\"error\":{\"code\":\"function_failed\",\"message\":\"a \\\"b\\\"\\\\\\u000a\"}}\n");
}

}  // namespace
}  // namespace hybridserve::init

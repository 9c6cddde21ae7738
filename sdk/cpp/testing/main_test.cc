// The SDK's main in a program of its own, by HTTP and by CGI.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace {

/// The inspecting function as a process; killed with the object.
class Program {
 public:
  Program(std::vector<std::string> environment, const std::string& input) {
    int in[2];
    int out[2];
    int err[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
      abort();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    std::vector<char*> variables;
    for (std::string& variable : environment) variables.push_back(variable.data());
    variables.push_back(nullptr);
    char name[] = INSPECT_PROGRAM;
    char* arguments[] = {name, nullptr};
    EXPECT_EQ(posix_spawn(&pid_, name, &actions, nullptr, arguments, variables.data()), 0);
    posix_spawn_file_actions_destroy(&actions);
    for (int fd : {in[0], out[1], err[1]}) close(fd);
    EXPECT_EQ(write(in[1], input.data(), input.size()), static_cast<ssize_t>(input.size()));
    close(in[1]);
    out_ = out[0];
    err_ = err[0];
  }
  ~Program() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(out_);
    close(err_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  std::string Output() { return ReadAll(out_); }
  std::string Errors() { return ReadAll(err_); }
  void Signal(int number) { kill(pid_, number); }

  /// Its exit status once it has ended, or -1 when a signal ended it.
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  /// The port in its line "listening on port N".
  int Port() {
    std::string line;
    for (char c; read(err_, &c, 1) == 1 && c != '\n';) line += c;
    return std::atoi(line.substr(line.rfind(' ') + 1).c_str());
  }

 private:
  static std::string ReadAll(int fd) {
    std::string all;
    char piece[4096];
    for (ssize_t got; (got = read(fd, piece, sizeof piece)) > 0;) {
      all.append(piece, static_cast<size_t>(got));
    }
    return all;
  }

  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
};

/// A client connection that reads answers by their Content-Length.
class Client {
 public:
  explicit Client(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Send(const std::string& bytes) {
    EXPECT_EQ(send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  /// The next answer's head, without its empty line.
  std::string ReadHead() {
    size_t end;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!Fill()) return "closed";
    }
    std::string head = input_.substr(0, end);
    input_.erase(0, end + 4);
    return head;
  }
  std::string ReadBody(const std::string& head) {
    size_t at = head.find("Content-Length: ");
    if (at == std::string::npos) return "";
    size_t size = std::stoul(head.substr(at + 16));
    while (input_.size() < size && Fill()) {
    }
    std::string body = input_.substr(0, size);
    input_.erase(0, size);
    return body;
  }
  std::string Get(const std::string& target) {
    Send("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n");
    return ReadBody(ReadHead());
  }
  bool Closed() { return input_.empty() && !Fill(); }

 private:
  bool Fill() {
    char piece[65536];
    ssize_t got = recv(socket_, piece, sizeof piece, 0);
    if (got <= 0) return false;
    input_.append(piece, static_cast<size_t>(got));
    return true;
  }

  int socket_;
  std::string input_;
};

class ServerTest : public testing::Test {
 protected:
  Program program_{{"PORT=0"}, ""};
  int port_ = program_.Port();
};

TEST_F(ServerTest, AnswersRequestAfterRequestOnOneConnection) {
  Client client(port_);
  for (int i = 0; i < 300; ++i) {
    std::string target = "/p?i=" + std::to_string(i);
    ASSERT_EQ(client.Get(target), "GET /p [i=" + std::to_string(i) + "]\nhost=h\n0:");
  }
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  Client client(port_);
  client.Send(
      "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET /3 "
      "HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.ReadBody(client.ReadHead()), "GET /1 []\n0:");
  EXPECT_EQ(client.ReadBody(client.ReadHead()), "POST /2 []\n2:ab");
  EXPECT_EQ(client.ReadBody(client.ReadHead()), "GET /3 []\n0:");
}

TEST_F(ServerTest, ReadsChunkedBodies) {
  Client client(port_);
  client.Send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  client.Send("2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(client.ReadBody(client.ReadHead()), "POST / []\n5:abcde");
  EXPECT_EQ(client.Get("/next"), "GET /next []\nhost=h\n0:");
}

TEST_F(ServerTest, SendsContinueToAClientThatWaitsForIt) {
  Client client(port_);
  client.Send("POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.ReadHead(), "HTTP/1.1 100 Continue");
  client.Send("x");
  EXPECT_EQ(client.ReadBody(client.ReadHead()), "POST / []\n1:x");
}

TEST_F(ServerTest, CarriesLargeBodiesBothWays) {
  Client client(port_);
  std::string body(20u << 20, 'b');
  client.Send("POST / HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
  client.Send(body);
  std::string answer = client.ReadBody(client.ReadHead());
  EXPECT_TRUE(answer.ends_with(body));
  EXPECT_EQ(client.Get("/?bytes=30000000").size(), 30000000u);
}

TEST_F(ServerTest, HeadAnd204HaveNoBody) {
  Client client(port_);
  client.Send("HEAD / HTTP/1.1\r\n\r\n");
  EXPECT_NE(client.ReadHead().find("Content-Length: 12"), std::string::npos);
  client.Send("GET /?status=204 HTTP/1.1\r\n\r\n");
  std::string head = client.ReadHead();
  EXPECT_TRUE(head.starts_with("HTTP/1.1 204 No Content"));
  EXPECT_EQ(head.find("Content-Length"), std::string::npos);
  EXPECT_EQ(client.Get("/still"), "GET /still []\nhost=h\n0:");
}

TEST_F(ServerTest, ClosesWhenAskedTo) {
  Client client(port_);
  client.Send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  std::string head = client.ReadHead();
  EXPECT_NE(head.find("Connection: close"), std::string::npos);
  client.ReadBody(head);
  EXPECT_TRUE(client.Closed());
}

TEST_F(ServerTest, RefusesABrokenRequestAndGoesOn) {
  Client broken(port_);
  broken.Send("nonsense\r\n\r\n");
  std::string head = broken.ReadHead();
  EXPECT_TRUE(head.starts_with("HTTP/1.1 400 Bad Request"));
  broken.ReadBody(head);
  EXPECT_TRUE(broken.Closed());
  Client next(port_);
  EXPECT_EQ(next.Get("/"), "GET / []\nhost=h\n0:");
}

TEST_F(ServerTest, ManyConnectionsAreServedAtOnce) {
  // All but the last wait until the file is there; a server with too few threads would hang here.
  std::string file = testing::TempDir() + "sdk_go." + std::to_string(getpid());
  std::vector<std::unique_ptr<Client>> waiting;
  for (int i = 0; i < 20; ++i) {
    waiting.push_back(std::make_unique<Client>(port_));
    waiting.back()->Send("GET /?wait=" + file + " HTTP/1.1\r\n\r\n");
  }
  Client free(port_);
  EXPECT_EQ(free.Get("/"), "GET / []\nhost=h\n0:");
  std::ofstream(file).put('x');
  for (auto& client : waiting) {
    EXPECT_TRUE(client->ReadHead().starts_with("HTTP/1.1 200 OK"));
  }
  unlink(file.c_str());
}

TEST_F(ServerTest, SigtermEndsAnIdleServer) {
  Client idle(port_);
  EXPECT_EQ(idle.Get("/"), "GET / []\nhost=h\n0:");
  program_.Signal(SIGTERM);
  EXPECT_EQ(program_.Wait(), 0);
}

TEST_F(ServerTest, SigtermLetsARunningRequestFinish) {
  std::string file = testing::TempDir() + "sdk_stop." + std::to_string(getpid());
  Client client(port_);
  // With the 100 the request is known to run.
  client.Send("POST /?wait=" + file +
              " HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  EXPECT_EQ(client.ReadHead(), "HTTP/1.1 100 Continue");
  program_.Signal(SIGTERM);
  client.Send("x");
  std::ofstream(file).put('x');
  std::string head = client.ReadHead();
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK"));
  EXPECT_NE(head.find("Connection: close"), std::string::npos);
  EXPECT_EQ(program_.Wait(), 0);
  unlink(file.c_str());
}

TEST(MainTest, WithoutPortItSpeaksCgi) {
  Program program({"REQUEST_METHOD=POST", "PATH_INFO=/c", "QUERY_STRING=status=201", "HTTP_X_A=1",
                   "CONTENT_LENGTH=2"},
                  "hiMORE");
  EXPECT_EQ(program.Output(),
            "Status: 201 Created\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
            "POST /c [status=201]\nx-a=1\n2:hi");
  EXPECT_EQ(program.Wait(), 0);
}

TEST(MainTest, AWrongPortIsAnErrorThatNamesIt) {
  for (std::string port : {"http", "-1", "65536", "80x"}) {
    Program program({"PORT=" + port}, "");
    EXPECT_NE(program.Errors().find("\"" + port + "\""), std::string::npos);
    EXPECT_EQ(program.Wait(), 2);
  }
}

TEST(MainTest, APortInUseIsAnErrorThatNamesIt) {
  Program first({"PORT=0"}, "");
  std::string port = std::to_string(first.Port());
  Program second({"PORT=" + port}, "");
  EXPECT_EQ(second.Errors(), "cannot listen on port " + port + ": Address already in use\n");
  EXPECT_EQ(second.Wait(), 1);
}

}  // namespace

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>

#include "base/file.h"
#include "base/unique_fd.h"
#include "tls/certificate.h"
#include "tls/stream.h"
#include "tls/test_pair.h"

namespace hybridserve {
namespace {

using testing::HasSubstr;
using State = TlsStream::State;

class TlsTest : public testing::Test {
 protected:
  void Write(const std::string& certificate, const std::string& key, mode_t mode = 0400) {
    ASSERT_TRUE(WriteFileAtomically(folder_.path() / "c.pem", certificate));
    ASSERT_TRUE(WriteFileAtomically(folder_.path() / "k.pem", key, mode));
  }
  Result<std::shared_ptr<TlsCertificate>> Open() {
    return TlsCertificate::Open("gateway", folder_.path() / "c.pem", folder_.path() / "k.pem");
  }
  TemporaryFolder folder_;
};

TEST_F(TlsTest, WhatCannotServeIsRefusedAndSaysWhy) {
  const TestPair one = MakeTestPair(1);
  const TestPair two = MakeTestPair(2);
  const struct {
    std::string certificate;
    std::string key;
    mode_t mode;
    Code code;
    std::string words;
  } cases[] = {
      {"nonsense", one.key, 0400, Code::kInvalidArgument, "gateway.tls_certificate: "},
      {one.key, one.key, 0400, Code::kInvalidArgument, "does not begin with a certificate"},
      {one.certificate + one.certificate.substr(0, 100), one.key, 0400, Code::kInvalidArgument,
       "damaged"},
      {one.certificate, "nonsense", 0400, Code::kInvalidArgument, "holds no private key"},
      {one.certificate, two.key, 0400, Code::kInvalidArgument, "is not that of the certificate"},
      {one.certificate, one.key, 0444, Code::kForbidden, "has the mode 0444"},
      {one.certificate, one.key, 0620, Code::kForbidden, "has the mode 0620"},
  };
  for (const auto& row : cases) {
    Write(row.certificate, row.key, row.mode);
    const auto opened = Open();
    ASSERT_FALSE(opened) << row.words;
    EXPECT_EQ(opened.error().code, row.code) << opened.error().message;
    EXPECT_THAT(opened.error().message, HasSubstr(row.words));
  }
  std::filesystem::remove(folder_.path() / "k.pem");
  EXPECT_THAT(Open().error().message, HasSubstr("gateway.tls_key: open "));
}

TEST_F(TlsTest, AGoodPairIsTakenOnChangeAndABadOneIsNot) {
  const TestPair one = MakeTestPair(1);
  const TestPair two = MakeTestPair(2);
  Write(one.certificate, one.key, 0440);
  const auto certificate = Open().value();
  const TlsContextPtr first = certificate->context();
  certificate->ReloadIfChanged();
  EXPECT_EQ(certificate->context(), first);
  Write(two.certificate, one.key);
  certificate->ReloadIfChanged();
  EXPECT_EQ(certificate->context(), first);
  Write(two.certificate, two.key);
  certificate->ReloadIfChanged();
  EXPECT_NE(certificate->context(), first);
}

// A server's stream and a client of OpenSSL's own over a pair of sockets.
class TlsStreamTest : public TlsTest {
 protected:
  void SetUp() override {
    const TestPair pair = MakeTestPair(1);
    Write(pair.certificate, pair.key);
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends_.data()), 0);
    server_ = std::make_unique<TlsStream>(Open().value()->context(), ends_[0]);
    context_ = SSL_CTX_new(TLS_client_method());
    client_ = SSL_new(context_);
    SSL_set_fd(client_, ends_[1]);
    SSL_set_connect_state(client_);
  }
  void TearDown() override {
    server_.reset();
    SSL_free(client_);
    SSL_CTX_free(context_);
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  // Whether both sides shook hands; a side that fails ends it.
  State ShakeHands() {
    State state = State::kWaitRead;
    for (int i = 0; i < 20 && state == State::kWaitRead; ++i) {
      SSL_do_handshake(client_);
      state = server_->Handshake();
    }
    SSL_do_handshake(client_);
    return state;
  }

  std::array<int, 2> ends_{-1, -1};
  std::unique_ptr<TlsStream> server_;
  SSL_CTX* context_ = nullptr;
  SSL* client_ = nullptr;
};

TEST_F(TlsStreamTest, BytesGoBothWaysAndAGoodbyeEndsThem) {
  ASSERT_EQ(ShakeHands(), State::kDone);
  std::array<char, 64> room{};
  EXPECT_EQ(server_->Read(room).state, State::kWaitRead);
  ASSERT_EQ(SSL_write(client_, "ping", 4), 4);
  const TlsStream::Io got = server_->Read(room);
  EXPECT_EQ(got.state, State::kDone);
  EXPECT_EQ(std::string_view(room.data(), got.bytes), "ping");

  std::string head = "head ";
  std::string body = "body";
  const iovec pieces[] = {{head.data(), head.size()}, {body.data(), body.size()}};
  EXPECT_EQ(server_->Write(pieces).bytes, 9u);
  EXPECT_EQ(SSL_read(client_, room.data(), static_cast<int>(room.size())), 9);
  EXPECT_EQ(std::string_view(room.data(), 9), "head body");
  server_->SayGoodbye();
  const int ended = SSL_read(client_, room.data(), static_cast<int>(room.size()));
  EXPECT_EQ(SSL_get_error(client_, ended), SSL_ERROR_ZERO_RETURN);
}

TEST_F(TlsStreamTest, AFullSocketIsWaitedForAndNothingIsLost) {
  ASSERT_EQ(ShakeHands(), State::kDone);
  std::string sent(4u << 20, '\0');
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 2654435761u >> 24);
  std::string received;
  size_t at = 0;
  bool waited = false;
  std::array<char, 16384> room{};
  while (received.size() < sent.size()) {
    if (at < sent.size()) {
      const iovec piece{sent.data() + at, sent.size() - at};
      const TlsStream::Io io = server_->Write({&piece, 1});
      at += io.bytes;
      ASSERT_NE(io.state, State::kEnded);
      if (io.state == State::kDone) continue;
      waited = true;
    }
    const int got = SSL_read(client_, room.data(), static_cast<int>(room.size()));
    if (got > 0) received.append(room.data(), static_cast<size_t>(got));
  }
  EXPECT_TRUE(waited);
  EXPECT_TRUE(received == sent);
}

TEST_F(TlsStreamTest, OldVersionsAndOtherProtocolsAreTurnedAway) {
  SSL_set_security_level(client_, 0);
  SSL_set_min_proto_version(client_, TLS1_VERSION);
  SSL_set_max_proto_version(client_, TLS1_1_VERSION);
  EXPECT_EQ(ShakeHands(), State::kEnded);
}

TEST_F(TlsStreamTest, AClientOfHttp2OnlyIsTurnedAway) {
  SSL_set_alpn_protos(client_, reinterpret_cast<const unsigned char*>("\2h2"), 3);
  EXPECT_EQ(ShakeHands(), State::kEnded);
}

TEST_F(TlsStreamTest, Http11IsChosen) {
  SSL_set_alpn_protos(client_, reinterpret_cast<const unsigned char*>("\2h2\10http/1.1"), 12);
  ASSERT_EQ(ShakeHands(), State::kDone);
  const unsigned char* name = nullptr;
  unsigned int bytes = 0;
  SSL_get0_alpn_selected(client_, &name, &bytes);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(name), bytes), "http/1.1");
}

TEST_F(TlsStreamTest, PlainHttpIsRecognized) {
  ASSERT_EQ(::send(ends_[1], "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
  EXPECT_EQ(server_->Handshake(), State::kPlainHttp);
  const std::string_view answer = PlainHttpAnswer();
  const size_t body = answer.find("\r\n\r\n") + 4;
  EXPECT_THAT(std::string(answer),
              HasSubstr("Content-Length: " + std::to_string(answer.size() - body) + "\r\n"));
}

}  // namespace
}  // namespace hybridserve

#include "tls/stream.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

namespace hybridserve {

namespace {

// What goes out as one record at most (RFC 8446 5.1).
constexpr size_t kRecordBytes = 16 * 1024;

int SocketOf(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }

int ReadSocket(BIO* bio, char* room, size_t bytes, size_t* got) {
  BIO_clear_retry_flags(bio);
  const ssize_t result = ::recv(SocketOf(bio), room, bytes, MSG_DONTWAIT);
  if (result < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  *got = result > 0 ? static_cast<size_t>(result) : 0;
  return result > 0 ? 1 : 0;
}

// OpenSSL's own would raise SIGPIPE.
int WriteSocket(BIO* bio, const char* bytes, size_t count, size_t* wrote) {
  BIO_clear_retry_flags(bio);
  const ssize_t result = ::send(SocketOf(bio), bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (result < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  *wrote = result > 0 ? static_cast<size_t>(result) : 0;
  return result > 0 ? 1 : 0;
}

long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int Create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

const BIO_METHOD* SocketMethod() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (made == nullptr) return made;
    BIO_meth_set_read_ex(made, ReadSocket);
    BIO_meth_set_write_ex(made, WriteSocket);
    BIO_meth_set_ctrl(made, Control);
    BIO_meth_set_create(made, Create);
    return made;
  }();
  return method;
}

}  // namespace

TlsStream::TlsStream(const TlsContextPtr& context, int socket) : ssl_(SSL_new(context.get())) {
  const BIO_METHOD* method = SocketMethod();
  BIO* bio = ssl_ && method != nullptr ? BIO_new(method) : nullptr;
  if (bio == nullptr) {
    ssl_.reset();
    return;
  }
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(socket)));
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
}

TlsStream::~TlsStream() { SayGoodbye(); }

TlsStream::State TlsStream::StateOf(int result) {
  if (result > 0) return State::kDone;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return State::kWaitRead;
    case SSL_ERROR_WANT_WRITE:
      return State::kWaitWrite;
    case SSL_ERROR_ZERO_RETURN:
      return State::kEnded;
    default:
      break;
  }
  goodbye_said_ = true;  // After an error none may be sent.
  const int reason = ERR_GET_REASON(ERR_peek_error());
  return reason == SSL_R_HTTP_REQUEST ? State::kPlainHttp : State::kEnded;
}

TlsStream::State TlsStream::Handshake() {
  if (!ssl_) return State::kEnded;
  ERR_clear_error();
  return StateOf(SSL_do_handshake(ssl_.get()));
}

TlsStream::Io TlsStream::Read(std::span<char> room) {
  if (!ssl_) return {};
  ERR_clear_error();
  Io io;
  io.state = StateOf(SSL_read_ex(ssl_.get(), room.data(), room.size(), &io.bytes));
  if (io.state != State::kDone) io.bytes = 0;
  return io;
}

TlsStream::Io TlsStream::Write(std::span<const iovec> pieces) {
  if (!ssl_ || pieces.empty()) return {};
  const void* from = pieces.front().iov_base;
  size_t bytes = pieces.front().iov_len;
  if (pieces.size() > 1 && bytes < kRecordBytes) {
    small_.clear();
    for (const iovec& piece : pieces) {
      const size_t part = std::min(piece.iov_len, kRecordBytes - small_.size());
      small_.append(static_cast<const char*>(piece.iov_base), part);
    }
    from = small_.data();
    bytes = small_.size();
  }
  ERR_clear_error();
  Io io;
  io.state = StateOf(SSL_write_ex(ssl_.get(), from, bytes, &io.bytes));
  if (io.state != State::kDone) io.bytes = 0;
  return io;
}

void TlsStream::SayGoodbye() {
  if (!ssl_ || std::exchange(goodbye_said_, true) || SSL_in_init(ssl_.get()) != 0) return;
  ERR_clear_error();
  (void)SSL_shutdown(ssl_.get());
}

std::string_view PlainHttpAnswer() {
  return "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 92\r\n"
         "Connection: close\r\n\r\n"
         "{\"error\":{\"code\":\"invalid_argument\",\"message\":\"this port speaks HTTPS only: use "
         "https://\"}}\n";
}

}  // namespace hybridserve

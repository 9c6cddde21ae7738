// TlsStream: the server's side of TLS over a connected socket, by OpenSSL, without ever waiting.
//
// Each call does what can be done at once and says what to wait for on the socket before it is
// called again. Reads and writes may take turns in any order.
//
// Thread rule: one thread.
#pragma once

#include <openssl/ssl.h>
#include <sys/uio.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "tls/certificate.h"

namespace hybridserve {

class TlsStream {
 public:
  enum class State : uint8_t {
    kDone,       ///< It went through.
    kWaitRead,   ///< Call again once the socket can be read.
    kWaitWrite,  ///< Call again once it can be written.
    kPlainHttp,  ///< The client speaks HTTP without TLS; PlainHttpAnswer() is what to tell it.
    kEnded,      ///< The connection is of no further use.
  };
  struct Io {
    State state = State::kEnded;
    size_t bytes = 0;  ///< More than 0 with kDone only.
  };

  /// `socket` outlives the stream, which says goodbye to the client when it is destroyed.
  TlsStream(const TlsContextPtr& context, int socket);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  State Handshake();
  Io Read(std::span<char> room);
  /// Writes from the front of `pieces`; small ones share a record. After kWaitWrite it must be
  /// called with the same bytes again.
  Io Write(std::span<const iovec> pieces);
  /// Tells the client that all was said (close_notify), once.
  void SayGoodbye();
  /// There will be no goodbye: the answer was cut off, and the client is to see it.
  void Abort() { goodbye_said_ = true; }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  State StateOf(int result);

  std::unique_ptr<SSL, Free> ssl_;  // nullptr: no memory.
  std::string small_;               // Small pieces put together.
  bool goodbye_said_ = false;
};

/// The whole HTTP answer to a client that speaks without TLS.
std::string_view PlainHttpAnswer();

}  // namespace hybridserve

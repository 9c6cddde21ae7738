// ProxyStream: a build's own way to the node's forward proxy; one implementation in native/ and one
// in wasi/.
//
// Thread rule: one thread an object.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hs::internal {

class ProxyStream {
 public:
  /// Connects, or takes the one connection there is; error() says why not.
  ProxyStream();
  ~ProxyStream();
  ProxyStream(const ProxyStream&) = delete;
  ProxyStream& operator=(const ProxyStream&) = delete;

  /// Empty when there is a connection.
  [[nodiscard]] const std::string& error() const { return error_; }
  /// Whether a later object takes the same connection.
  static bool IsKept();

  bool Write(std::string_view bytes);
  /// At least a byte; 0 at the end and when the connection broke.
  size_t Read(char* bytes, size_t size);
  /// The connection is of no further use.
  void Spoil();

 private:
  int fd_ = -1;
  std::string error_;
};

}  // namespace hs::internal

// NetworkNamespace: sockets made in the network namespace of a process.
//
// A socket belongs to the namespace in which it was made: its user need not be in there, and no
// bridge, route or published port leads to it.
//
// Thread rule: the calling thread is in the other namespace while a socket is made; use it on one
// that makes no other sockets meanwhile. Needs CAP_SYS_ADMIN over both namespaces.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve::sandbox {

class NetworkNamespace {
 public:
  NetworkNamespace() = default;
  /// The namespace of process `pid`, which stays while this lives. Errors: kNotFound no such process.
  static Result<NetworkNamespace> Of(pid_t pid);
  /// A new one with loopback alone, in which every port may be listened on by any user. It lives as
  /// long as this, or a process in it. Takes some 0.4 ms.
  static Result<NetworkNamespace> Make();

  explicit operator bool() const { return static_cast<bool>(fd_); }
  [[nodiscard]] int fd() const { return fd_.get(); }

  /// `count` unconnected, non-blocking TCP sockets.
  [[nodiscard]] Result<std::vector<UniqueFd>> MakeSockets(uint32_t count) const;
  /// A listening, non-blocking TCP socket on 127.0.0.1:`port`.
  /// Errors: kConflict something listens on the port.
  [[nodiscard]] Result<UniqueFd> MakeListener(uint16_t port) const;
  /// Gives the loopback interface its address, as a new namespace needs it.
  [[nodiscard]] Result<> RaiseLoopback() const;

 private:
  [[nodiscard]] Result<> Inside(const std::function<Result<>()>& work) const;

  UniqueFd fd_;
};

}  // namespace hybridserve::sandbox

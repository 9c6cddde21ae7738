// Container: one sandbox for a native program, from held to running to gone.
//
//   Create → kPreparing → kHeld ──Start──▶ kStarting → kRunning → (the child ends)
//                 └──────────────┴── kFailed
//
// Held, it is generic: all namespaces, the cgroup, /proc and /dev are done, and one small process
// waits inside for its root file system and its program; it serves any function. The image's
// program then replaces that process: it is PID 1 inside, as with Docker, and its end ends the
// container.
//
// The caller watches control_fd() and the child's pidfd, and calls OnControl() when the former is
// readable. Nothing here blocks.
//
// Thread rule: one thread, of a process that has no other.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/cgroup.h"
#include "sandbox/container_program.h"
#include "sandbox/id_range.h"
#include "sandbox/network_namespace.h"
#include "sandbox/process.h"
#include "sandbox/seccomp.h"

namespace hybridserve::sandbox {

class Container {
 public:
  enum class State : uint8_t { kPreparing, kHeld, kStarting, kRunning, kFailed };

  /// Starts preparing. `filter` is Filter::kContainer compiled. Takes `range` unless it fails.
  static Result<std::unique_ptr<Container>> Create(std::unique_ptr<Cgroup> cgroup, IdRange& range,
                                                   const BpfProgram& filter);
  /// Kills what is left and removes the cgroup.
  ~Container();
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const Child& child() const { return child_; }
  [[nodiscard]] Cgroup& cgroup() { return *cgroup_; }
  /// Readable when the inside has something to say; -1 once the program runs.
  [[nodiscard]] int control_fd() const { return control_.get(); }
  /// Why the state is kFailed.
  [[nodiscard]] const Error& error() const { return error_; }

  /// Reads what the inside says and moves the state on. Never blocks.
  void OnControl();

  /// Only in kHeld: sets the limits and hands over root file system, program and the write end of
  /// its log. `image` is a descriptor of an unpacked root file system of the owner range.
  Result<> Start(const ContainerProgram& program, const CgroupLimits& limits, int image, int log);

  /// `count` unconnected, non-blocking TCP sockets made in the container's network namespace. From
  /// kHeld on. Errors: kConflict it is not prepared yet.
  Result<std::vector<UniqueFd>> MakeSockets(uint32_t count) const;

  /// A listening, non-blocking TCP socket on 127.0.0.1:`port` in the container's network namespace.
  /// From kHeld on. Errors: kConflict it is not prepared yet, or something listens on the port.
  Result<UniqueFd> MakeListener(uint16_t port) const;

  /// SIGKILL to everything inside, also in a frozen one. The child's pidfd tells when it is over.
  void Kill();
  /// After Kill or the program's end: waits for the child and returns its status.
  int Reap();
  /// Takes the range back, for the next container. Only after Reap.
  IdRange TakeRange() { return std::move(range_); }

 private:
  Container(std::unique_ptr<Cgroup> cgroup, IdRange range)
      : cgroup_(std::move(cgroup)), range_(std::move(range)) {}
  Result<> Begin(const BpfProgram& filter);
  void Fail(Error error);

  std::unique_ptr<Cgroup> cgroup_;
  IdRange range_;
  Child child_;
  UniqueFd control_;
  NetworkNamespace network_;
  State state_ = State::kPreparing;
  Error error_;
  bool launching_ = false;  ///< The inside has said that exec comes next.
  bool reaped_ = false;
};

}  // namespace hybridserve::sandbox

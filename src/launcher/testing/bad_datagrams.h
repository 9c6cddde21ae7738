// BadDatagrams: what a server that was taken over might send to the launcher: random bytes, random
// bodies behind a good header, and requests that are good but for a few bytes, their end or their
// descriptors. The same seed makes the same datagrams.
//
// None of them starts anything: one that came out as a good request to start a process gets a byte
// too many. The others may be good; a launcher answers those that name nothing with an error.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace hybridserve::launcher {

class BadDatagrams {
 public:
  explicit BadDatagrams(uint64_t seed);

  /// Makes the next one; it is never empty, and never has the id `kNoId`.
  void Next();
  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  /// What goes with it: files, folders, pipes and sockets; one in 16 datagrams has some.
  [[nodiscard]] std::span<const int> fds() const { return {fds_.data(), fd_count_}; }

  /// Sends it without waiting. Not ipc::Send: it also sends more, and more descriptors, than that
  /// would. Errors: kUnavailable the socket is full; kInternal the launcher is gone.
  Result<> Send(int socket) const;

  static constexpr uint64_t kNoId = 0x5ca1ab1e;

 private:
  void MakeRandom();
  void MakeBody();
  void Mutate();
  void MakeHarmless();
  uint32_t Below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }

  std::mt19937_64 random_;
  std::vector<std::string> good_;
  std::vector<UniqueFd> owned_;
  std::vector<int> fds_;
  size_t fd_count_ = 0;
  std::string bytes_;
};

}  // namespace hybridserve::launcher

// ContainerRig: an image of the probe, a cgroup tree, and containers run to their end.
//
// Thread rule: one thread.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "sandbox/container.h"

namespace hybridserve::sandbox {

/// How a container ended, and what it printed.
struct Ended {
  int status = -1;
  std::string output;
  bool out_of_memory = false;
  Error error;  ///< When it could not be started.
  /// The output's "name=value" lines.
  [[nodiscard]] std::map<std::string, std::string> Facts() const;
};

/// What tests and the start benchmark share; not a gtest fixture.
class ContainerRig {
 public:
  /// Makes the image: /probe, /etc/own, /tmp as a link to /etc, /work as user 5.
  /// Errors: kUnsupported what lacks on this machine.
  static Result<std::unique_ptr<ContainerRig>> Make();
  ~ContainerRig();

  Result<std::unique_ptr<Container>> Create();
  /// Moves the state on until it is `wanted`, has failed, or ten seconds are over.
  static bool Await(Container& container, Container::State wanted);
  /// Starts a held one; returns the read end of its log.
  Result<UniqueFd> Start(Container& container, const ContainerProgram& program,
                         const CgroupLimits& limits);
  /// Kills, reaps, takes the range back; returns the status.
  int Destroy(std::unique_ptr<Container> container);
  /// Create, start, read all output, destroy.
  Ended Run(const ContainerProgram& program,
            const CgroupLimits& limits = {.memory_bytes = 64u << 20, .pids = 16});

  static ContainerProgram Program(std::vector<std::string> argv);
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] CgroupTree& cgroups() { return *cgroups_; }

 private:
  ContainerRig() = default;

  TemporaryFolder folder_;
  std::filesystem::path root_;
  UniqueFd image_;
  std::unique_ptr<CgroupTree> cgroups_;
  BpfProgram filter_;
  IdRanges ranges_;
  int next_ = 1;
};

}  // namespace hybridserve::sandbox

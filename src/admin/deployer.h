// Deployer: what becomes of a deploy, a rollback and a removal on the server, and what is brought
// back at a start.
//
// A deploy checks everything, compiles the module, unpacks the image, writes the revision down in
// one transaction, and only then switches the data path over. Any failure leaves everything as it
// was. Whatever waits for the disk runs on the control thread; two deploys of one function end in
// the order in which the registry took them.
//
// Thread rule: the event loop's thread only. Destroy it after Stop has completed, or once the event
// loop has stopped for good.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/secrets.h"
#include "base/awaitable.h"
#include "base/ids.h"
#include "function/deployed.h"
#include "function/manifest.h"
#include "store/blob_store.h"
#include "store/registry.h"
#include "wasm/backend.h"

namespace hybridserve {

class ControlThread;

/// Unpacks images on this node. Implemented over the launcher, and by fakes.
///
/// Thread rule: the event loop's thread only.
class ImageImporter {
 public:
  virtual ~ImageImporter() = default;
  /// Unpacks the archive; idempotent by digest. Returns the image's run configuration as JSON.
  /// Errors: kInvalidArgument what is wrong with the archive; kUnavailable, kTimeout.
  virtual Awaitable<std::string> Import(int archive, Digest digest) = 0;
  virtual Awaitable<> Remove(Digest image) = 0;
};

/// What the data path knows of a function now.
struct LiveStatus {
  uint32_t wasm_running = 0;
  uint32_t queued = 0;
  bool wasm_loaded = false;
  uint32_t containers_ready = 0;   ///< Frozen ones included.
  uint32_t containers_frozen = 0;  ///< Stopped until their next request.
  uint32_t containers_starting = 0;
  uint32_t busy_slots = 0;
  uint32_t free_slots = 0;
  std::optional<Microseconds> container_boot;  ///< What a start takes, as measured.
};

/// The data path, as the deployer sees it.
struct DataPath {
  /// Makes a revision the live one of its function.
  std::function<void(DeployedPtr)> serve;
  /// Takes the function out of service, with its log.
  std::function<void(const FunctionName&)> withdraw;
  std::function<LiveStatus(const FunctionName&)> status;
};

struct DeployRequest {
  Manifest manifest;
  Digest module;  ///< A blob; empty: none.
  Digest image;   ///< A blob; empty: none.
};

struct DeployOutcome {
  FunctionName name;
  RevisionId revision;
  bool changed = false;  ///< False: the function was at this revision already.
};

/// One function, for `list`.
struct FunctionSummary {
  FunctionName name;
  std::string description;
  RevisionId revision;
  std::chrono::system_clock::time_point deployed;  ///< When this revision was made.
  bool wasm = false;
  bool container = false;
  std::optional<PolicyKind> policy;  ///< The manifest's.
  std::string failure;               ///< Why it cannot be served; empty: it is.
  LiveStatus status;
};

/// One function, for `describe`. Holds no secret's value.
struct FunctionDescription {
  FunctionSummary summary;
  std::string manifest;  ///< JSON.
  Digest module;
  Digest image;
  uint64_t module_bytes = 0;
  uint64_t image_bytes = 0;
  std::vector<Revision> revisions;  ///< Oldest first.
  std::vector<Switch> history;
};

class Deployer {
 public:
  struct Options {
    std::filesystem::path state_folder;        ///< Secrets may not lie in it.
    std::vector<NodeFile> node_files;          ///< The node's own; no function's secrets.
    std::vector<std::string> allowed_folders;  ///< As NodeConfig's.
    std::vector<std::string> allowed_network;  ///< As NodeConfig's.
    std::string containers_why_not;            ///< For the error where `images` is nullptr.
    /// How long a blob that nothing refers to is kept, and how often that is looked at.
    std::chrono::seconds blob_grace{3600};
    /// After this time the removal of an image that a container still used is tried again.
    std::chrono::milliseconds image_retry{5000};
  };

  /// Told of each step of a deploy: "compile", "unpack", "commit", and a sentence.
  using Progress =
      std::function<boost::asio::awaitable<void>(std::string step, std::string message)>;

  /// `wasm` and `images` may be nullptr: this node has no such side; functions with both builds run
  /// on the other. All references outlive the deployer.
  Deployer(boost::asio::any_io_executor executor, Options options, DataPath data_path,
           WasmBackend* wasm, ImageImporter* images, ControlThread& control, BlobStore& blobs,
           Registry& registry);
  ~Deployer();

  /// Brings every current revision back into service. One that cannot be (a secret's file is gone)
  /// is marked as failed and logged; the others are not held up. Then, in the background: unpacks
  /// images and compiles modules that are missing on this node, and collects garbage.
  /// Errors: the registry cannot be read.
  Awaitable<> Start();

  /// Errors: kInvalidArgument, kNotFound (a blob), kForbidden (a folder), kConflict (a host),
  /// kUnsupported; those of WasmBackend::Prepare and ImageImporter::Import; kUnavailable once
  /// stopped. `progress` may be empty; it is first called once all that is cheap has been checked.
  Awaitable<DeployOutcome> Deploy(DeployRequest request, Progress progress);

  /// To revision `to`, or to the newest one older than the current.
  /// Errors: kNotFound, kConflict (a host); kInvalidArgument (a secret).
  Awaitable<DeployOutcome> Rollback(FunctionName name, std::optional<RevisionId> to);

  /// Errors: kNotFound.
  Awaitable<> Remove(FunctionName name);

  /// By name.
  [[nodiscard]] std::vector<FunctionSummary> List() const;
  [[nodiscard]] size_t count() const;
  [[nodiscard]] bool Has(const FunctionName& name) const;
  /// Why a deployed function is not in service; empty: it is, or there is none of this name.
  [[nodiscard]] std::string FailureOf(const FunctionName& name) const;
  /// The key files of what is in service, for whoever looks after their changes.
  [[nodiscard]] std::vector<std::shared_ptr<KeyFile>> KeyFiles() const;
  /// Errors: kNotFound.
  Awaitable<FunctionDescription> Describe(FunctionName name);

  /// Refuses new work, and returns when nothing runs any more, at `until` at the latest: false when
  /// something still does.
  boost::asio::awaitable<bool> Stop(std::chrono::steady_clock::time_point until);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hybridserve

// Deployer::Impl: shared by deployer.cc (deploy, rollback, remove, views) and deployer_start.cc
// (start, background work, garbage).
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <map>
#include <set>
#include <utility>

#include "admin/async_lock.h"
#include "admin/control_thread.h"
#include "admin/deployer.h"
#include "admin/secrets.h"
#include "base/gate.h"

namespace hybridserve {

struct Deployer::Impl {
  /// A deployed function. Its `function` is in service unless `failure` says why not.
  struct Entry {
    DeployedPtr function;  ///< nullptr: not even its manifest could be read.
    RevisionId revision;
    std::chrono::system_clock::time_point created;
    std::string failure;
  };

  /// A revision with all that its service needs, read by the control thread.
  struct Loaded {
    Revision revision;
    Manifest manifest;
    FunctionFiles files;
  };

  Impl(boost::asio::any_io_executor executor_in, Options options_in, DataPath data_path_in,
       WasmBackend* wasm_in, ImageImporter* images_in, ControlThread& control_in,
       BlobStore& blobs_in, Registry& registry_in);

  // deployer.cc
  Result<> CheckRequest(const DeployRequest& request) const;
  /// Whether this node can and may run such a function.
  Result<> CheckNode(const Manifest& manifest) const;
  Result<> CheckFolders(const Manifest& manifest) const;
  Result<> CheckNetwork(const Manifest& manifest) const;
  /// The checks that read files; returns what the manifest names. On the control thread.
  Result<FunctionFiles> CheckFiles(const DeployRequest& request) const;
  Result<FunctionFiles> ReadFiles(const Manifest& manifest) const {
    return ReadFunctionFiles(manifest, options.state_folder, options.node_files);
  }
  Awaitable<> Compile(DeployedPtr candidate, Progress progress);
  Awaitable<> Unpack(Digest image, Progress progress);
  Awaitable<DeployOutcome> Commit(DeployRequest request, FunctionFiles files);
  /// Puts a revision into service, unless the very same is.
  void Serve(const Revision& revision, Manifest manifest, FunctionFiles files);
  [[nodiscard]] DeployedPtr MakeDeployed(const Revision& revision, Manifest manifest,
                                         FunctionFiles files) const;
  /// Reads the revision that a rollback goes to. On the control thread.
  Result<Loaded> LoadTarget(const FunctionName& name, std::optional<RevisionId> to) const;
  Awaitable<DeployOutcome> Rollback(FunctionName name, std::optional<RevisionId> to);
  [[nodiscard]] FunctionSummary Summarize(const std::string& name, const Entry& entry) const;

  // deployer_start.cc
  /// Fails only if the registry does; a revision of its own that cannot be served has an Error.
  using LoadedOrFailed = std::pair<Revision, Result<Loaded>>;
  Result<std::vector<LoadedOrFailed>> LoadAll() const;
  Awaitable<> Start();
  boost::asio::awaitable<void> RunInBackground();
  boost::asio::awaitable<void> RepairImages();
  boost::asio::awaitable<void> RepairCode();
  boost::asio::awaitable<void> CollectGarbage();
  Awaitable<> CollectImage(Digest image);
  /// Wakes the background work for another collection of garbage.
  void CollectSoon();

  boost::asio::any_io_executor executor;
  Options options;
  DataPath data_path;
  WasmBackend* wasm;
  ImageImporter* images;
  ControlThread& control;
  BlobStore& blobs;
  Registry& registry;

  std::map<std::string, Entry> entries;
  /// Images and modules that deploys under way need: a collection must not take them.
  std::multiset<Digest> needed;
  AsyncLock image_lock;  ///< Unpacking and removing images: one at a time.
  Gate gate;
  bool stopping = false;
  bool collect_wanted = false;
  bool image_in_use = false;  ///< The last collection could not remove one.
  boost::asio::steady_timer sleep;  ///< Of the background work; cancelled to wake it.
};

}  // namespace hybridserve

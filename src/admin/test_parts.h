// What tests of the deployer and of the admin API share: a whole node's control side in a temporary
// folder, over fakes of the data path, the engine and the launcher.
//
// Thread rule: one thread.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "admin/control_thread.h"
#include "admin/deployer.h"
#include "base/file.h"
#include "container/test_loop.h"
#include "store/blob_store.h"
#include "store/registry.h"
#include "wasm/fake_backend.h"

namespace hybridserve {

/// Unpacks nothing, and remembers what it was asked for.
class FakeImporter : public ImageImporter {
 public:
  Awaitable<std::string> Import(int archive, Digest digest) override;
  Awaitable<> Remove(Digest image) override;

  void SetError(std::optional<Error> error) { error_ = std::move(error); }
  /// The next `times` removals find the image in use.
  void SetInUse(int times) { in_use_ = times; }
  [[nodiscard]] int in_use() const { return in_use_; }
  [[nodiscard]] const std::set<Digest>& present() const { return present_; }
  [[nodiscard]] int imports() const { return imports_; }
  /// As if the images folder had been lost.
  void Forget() { present_.clear(); }

 private:
  std::optional<Error> error_;
  std::set<Digest> present_;
  int imports_ = 0;
  int in_use_ = 0;
};

/// A module that does nothing, with `pages` of memory; `salt` makes another one of it.
std::string MakeModule(uint8_t pages = 1, const std::string& salt = "");

/// A manifest with [wasm] and what `change` makes of it.
Manifest WasmManifest(const std::string& name);
/// With both builds.
Manifest HybridManifest(const std::string& name);

class DeployerFixture : public testing::Test {
 protected:
  enum class Containers : uint8_t { kPossible, kImpossible };

  DeployerFixture();
  ~DeployerFixture() override;

  /// Opens the stores and starts a deployer; again after Stop, as a restart does.
  void Start(Containers containers = Containers::kPossible);
  void Stop();

  Digest Upload(const std::string& bytes) { return blobs_->Put(bytes).value(); }
  Result<DeployOutcome> Deploy(DeployRequest request);
  /// Deploys a function with a module of its own, and expects success.
  DeployOutcome DeployWasm(Manifest manifest, const std::string& salt = "");
  DeployOutcome DeployHybrid(Manifest manifest, const std::string& salt = "");
  FunctionDescription Describe(const std::string& name);
  /// Expects that `request` is refused with this code and these words, and that nothing changed.
  void ExpectRefused(DeployRequest request, Code code, const std::string& words);
  /// As the registry has it; -1: there is no such function.
  int64_t CurrentRevision(const std::string& name);
  /// Everything there is to see of the node's functions, in one text.
  std::string Snapshot();

  TemporaryFolder folder_;
  TestLoop loop_;
  ControlThread control_;
  FakeWasmBackend wasm_;
  FakeImporter images_;
  Deployer::Options options_;
  std::optional<BlobStore> blobs_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<Deployer> deployer_;
  std::map<std::string, DeployedPtr> served_;  ///< The data path's table.
  std::vector<std::string> served_log_;        ///< "a@1", "-a" for a withdrawal.
  std::vector<std::string> steps_;             ///< Of the last deploy.
};

}  // namespace hybridserve

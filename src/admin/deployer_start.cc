// What the deployer does at a start and in the background.
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "admin/deployer_impl.h"
#include "base/log.h"

namespace hybridserve {

namespace asio = boost::asio;

Result<std::vector<Deployer::Impl::LoadedOrFailed>> Deployer::Impl::LoadAll() const {
  TRY_ASSIGN(std::vector<Revision> revisions, registry.AllCurrent());
  std::vector<LoadedOrFailed> all;
  all.reserve(revisions.size());
  for (Revision& revision : revisions) {
    const auto load = [this, &revision]() -> Result<Loaded> {
      Loaded loaded;
      TRY_ASSIGN(loaded.manifest, ManifestFromJson(revision.content.manifest));
      TRY_ASSIGN(loaded.files, ReadFiles(loaded.manifest));
      return loaded;
    };
    Result<Loaded> loaded = load();
    all.emplace_back(std::move(revision), std::move(loaded));
  }
  return all;
}

Awaitable<> Deployer::Impl::Start() {
  auto load = [this] { return LoadAll(); };
  CO_TRY_ASSIGN(std::vector<LoadedOrFailed> all, co_await control.Run(load));
  for (auto& [revision, loaded] : all) {
    const std::string& name = revision.content.function.value;
    Entry& entry = entries[name];
    entry.revision = revision.number;
    entry.created = revision.created;
    if (!loaded) {
      entry.failure = loaded.error().message;
      // Its manifest is worth showing even so.
      if (Result<Manifest> manifest = ManifestFromJson(revision.content.manifest)) {
        entry.function = MakeDeployed(revision, std::move(*manifest), {});
      }
    } else if (const Result<> possible = CheckNode(loaded->manifest); !possible) {
      entry.failure = possible.error().message;
      entry.function = MakeDeployed(revision, std::move(loaded->manifest), {});
    } else {
      Serve(revision, std::move(loaded->manifest), std::move(loaded->files));
    }
    if (!entry.failure.empty()) {
      spdlog::error("function '{}' is out of service: {}", name, entry.failure);
    }
  }
  asio::co_spawn(executor, RunInBackground(), asio::detached);
  co_return Result<>();
}

Awaitable<> Deployer::Start() { return impl_->Start(); }

asio::awaitable<void> Deployer::Impl::RunInBackground() {
  const Gate::Pass pass = gate.Enter();
  if (!pass) co_return;
  co_await RepairImages();
  co_await RepairCode();
  while (!stopping) {
    collect_wanted = false;
    co_await CollectGarbage();
    if (stopping || collect_wanted) continue;
    sleep.expires_after(image_in_use ? options.image_retry
                                     : std::chrono::milliseconds(options.blob_grace));
    co_await sleep.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

// Unpacks what a current revision needs and this node lacks: its images folder was lost, or it
// could not run containers when the function was deployed.
asio::awaitable<void> Deployer::Impl::RepairImages() {
  if (images == nullptr) co_return;
  auto list = [this] { return registry.AllCurrent(); };
  const Result<std::vector<Revision>> revisions = co_await control.Run(list);
  if (!revisions) co_return;
  std::set<Digest> unpacked_before;
  for (const Revision& revision : *revisions) {
    const Digest image = revision.content.image;
    const FunctionName name = revision.content.function;
    if (stopping) co_return;
    if (image.value.empty() || !entries.contains(name.value)) continue;
    if (!unpacked_before.insert(image).second && !revision.image_config.empty()) continue;
    const Result<> unpacked = co_await Unpack(image, {});
    if (!unpacked) {
      spdlog::error("function '{}' has no containers: {}", name.value, unpacked.error().message);
      continue;
    }
    if (!revision.image_config.empty()) continue;
    auto load = [this, &name] { return registry.Current(name); };
    const Result<Revision> current = co_await control.Run(load);
    const auto entry = entries.find(name.value);
    // A deploy in the meantime has brought its own image along.
    if (!current || entry == entries.end() || entry->second.function == nullptr ||
        !entry->second.failure.empty() || current->number != entry->second.revision) {
      continue;
    }
    Result<Manifest> manifest = ManifestFromJson(current->content.manifest);
    if (!manifest) continue;
    const Deployed& old = *entry->second.function;
    Serve(*current, std::move(*manifest), FunctionFiles{old.environment, old.keys});
  }
}

// Compiles what the cache of native code lacks: it was lost, or the engine is a new one.
asio::awaitable<void> Deployer::Impl::RepairCode() {
  if (wasm == nullptr) co_return;
  std::vector<DeployedPtr> functions;
  for (const auto& [name, entry] : entries) {
    if (entry.failure.empty() && entry.function != nullptr) functions.push_back(entry.function);
  }
  for (const DeployedPtr& function : functions) {
    if (stopping) co_return;
    const Result<> compiled = co_await Compile(function, {});
    if (!compiled) {
      spdlog::error("function '{}' has no native code: {}", function->manifest.name.value,
                    compiled.error().message);
    }
  }
}

void Deployer::Impl::CollectSoon() {
  collect_wanted = true;
  sleep.cancel();
}

asio::awaitable<void> Deployer::Impl::CollectGarbage() {
  image_in_use = false;
  // A deploy that begins later looks for its blobs after this job.
  const std::set<Digest> under_way(needed.begin(), needed.end());
  std::set<Digest> referenced;
  auto collect = [this, &under_way, &referenced]() -> Result<std::vector<Digest>> {
    TRY_ASSIGN(referenced, registry.ReferencedBlobs());
    referenced.insert(under_way.begin(), under_way.end());
    TRY_ASSIGN(const BlobStore::Collected collected,
               blobs.CollectGarbage(referenced, options.blob_grace));
    if (collected.blobs > 0) {
      spdlog::info("removed {} blobs of {} bytes that nothing refers to", collected.blobs,
                   collected.bytes);
    }
    return registry.UnreferencedImages();
  };
  const Result<std::vector<Digest>> unreferenced = co_await control.Run(collect);
  if (!unreferenced) {
    spdlog::error("collecting garbage: {}", unreferenced.error().message);
    co_return;
  }
  if (wasm != nullptr) wasm->CollectGarbage(referenced, options.blob_grace);
  if (images == nullptr) co_return;
  for (const Digest& image : *unreferenced) {
    if (stopping) co_return;
    const Result<> collected = co_await CollectImage(image);
    if (!collected && collected.error().code == Code::kConflict) {
      image_in_use = true;
    } else if (!collected) {
      spdlog::warn("image {} could not be removed: {}", image.value, collected.error().message);
    }
  }
}

Awaitable<> Deployer::Impl::CollectImage(Digest image) {
  const AsyncLock::Guard guard = co_await image_lock.Lock();
  // A deploy may have taken the image into use since it was listed. One that ended is in the
  // registry; one under way, up to and with its commit, is in needed.
  auto still = [this] { return registry.UnreferencedImages(); };
  CO_TRY_ASSIGN(const std::vector<Digest> unreferenced, co_await control.Run(still));
  const bool found =
      std::find(unreferenced.begin(), unreferenced.end(), image) != unreferenced.end();
  if (!found || needed.contains(image)) co_return Result<>();
  CO_TRY(co_await images->Remove(image));
  auto forget = [this, &image] { return registry.ForgetImage(image); };
  co_return co_await control.Run(forget);
}

}  // namespace hybridserve

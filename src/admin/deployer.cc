#include "admin/deployer.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "admin/deployer_impl.h"
#include "admin/module_check.h"
#include "base/close_gate.h"
#include "function/network_pattern.h"
#include "function/units.h"

namespace hybridserve {

namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

tl::unexpected<Error> Stopping() {
  return Fail(Code::kUnavailable, "the node is stopping; try again once it has started");
}

bool LiesIn(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_normal().lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

// Keeps an image or a module from being collected while a deploy needs it.
class Need {
 public:
  Need(std::multiset<Digest>& needed, const Digest& blob)
      : needed_(needed), place_(needed.insert(blob)) {}
  ~Need() { needed_.erase(place_); }
  Need(const Need&) = delete;
  Need& operator=(const Need&) = delete;

 private:
  std::multiset<Digest>& needed_;
  std::multiset<Digest>::iterator place_;
};

}  // namespace

Deployer::Impl::Impl(asio::any_io_executor executor_in, Options options_in, DataPath data_path_in,
                     WasmBackend* wasm_in, ImageImporter* images_in, ControlThread& control_in,
                     BlobStore& blobs_in, Registry& registry_in)
    : executor(std::move(executor_in)),
      options(std::move(options_in)),
      data_path(std::move(data_path_in)),
      wasm(wasm_in),
      images(images_in),
      control(control_in),
      blobs(blobs_in),
      registry(registry_in),
      image_lock(executor),
      sleep(executor) {}

Deployer::Deployer(asio::any_io_executor executor, Options options, DataPath data_path,
                   WasmBackend* wasm, ImageImporter* images, ControlThread& control,
                   BlobStore& blobs, Registry& registry)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(options), std::move(data_path),
                                   wasm, images, control, blobs, registry)) {}

Deployer::~Deployer() = default;

Result<> Deployer::Impl::CheckFolders(const Manifest& manifest) const {
  for (const FolderGrant& folder : manifest.folders) {
    const auto allows = [&folder](const std::string& allowed) {
      return LiesIn(folder.host_path, allowed);
    };
    if (std::any_of(options.allowed_folders.begin(), options.allowed_folders.end(), allows)) {
      continue;
    }
    return Fail(Code::kForbidden,
                "the host folder " + Quote(folder.host_path, 4096) +
                    " is not allowed on this node; add it, or a folder above it, to [wasm] "
                    "allowed_folders of the node's configuration");
  }
  return {};
}

Result<> Deployer::Impl::CheckNetwork(const Manifest& manifest) const {
  const std::optional<std::string> host =
      FirstNotCovered(manifest.network, options.allowed_network);
  if (!host) return {};
  return Fail(Code::kForbidden, "the network host " + Quote(*host) +
                                    " is not allowed on this node; add it to [network] allowed of "
                                    "the node's configuration");
}

Result<> Deployer::Impl::CheckRequest(const DeployRequest& request) const {
  const Manifest& manifest = request.manifest;
  if (manifest.wasm.has_value() != !request.module.value.empty()) {
    return Fail(Code::kInvalidArgument,
                manifest.wasm ? "the manifest has [wasm], and the request names no module"
                              : "the request names a module, and the manifest has no [wasm]");
  }
  if (manifest.container.has_value() != !request.image.value.empty()) {
    return Fail(Code::kInvalidArgument,
                manifest.container
                    ? "the manifest has [container], and the request names no image"
                    : "the request names an image, and the manifest has no [container]");
  }
  return CheckNode(manifest);
}

Result<> Deployer::Impl::CheckNode(const Manifest& manifest) const {
  const bool needs_container = !manifest.wasm || manifest.policy == PolicyKind::kContainerOnly;
  if (needs_container && images == nullptr) {
    return Fail(Code::kUnsupported, "this node cannot run containers (" +
                                        options.containers_why_not +
                                        "), and the function runs in nothing else; give it a "
                                        "[wasm] build and another policy");
  }
  const bool needs_wasm = !manifest.container || manifest.policy == PolicyKind::kWasmOnly;
  if (needs_wasm && wasm == nullptr) {
    return Fail(Code::kUnsupported,
                "this node has no WebAssembly engine, and the function runs in "
                "nothing else; give it a [container] build");
  }
  TRY(CheckFolders(manifest));
  return CheckNetwork(manifest);
}

Result<FunctionFiles> Deployer::Impl::CheckFiles(const DeployRequest& request) const {
  if (!request.module.value.empty()) {
    TRY(blobs.Touch(request.module));
    TRY_ASSIGN(const UniqueFd module, blobs.OpenBlob(request.module));
    TRY(CheckModuleFile(module.get(), request.manifest.limits));
  }
  if (!request.image.value.empty()) TRY(blobs.Touch(request.image));
  return ReadFiles(request.manifest);
}

Awaitable<> Deployer::Impl::Compile(DeployedPtr candidate, Progress progress) {
  if (wasm == nullptr || !candidate->manifest.wasm ||
      candidate->manifest.wasm->aot != AotTime::kDeploy) {
    co_return Result<>();
  }
  if (progress) co_await progress("compile", "compiling the module");
  co_return co_await wasm->Prepare(std::move(candidate));
}

Awaitable<> Deployer::Impl::Unpack(Digest image, Progress progress) {
  if (images == nullptr || image.value.empty()) co_return Result<>();
  if (progress) co_await progress("unpack", "unpacking the image");
  const AsyncLock::Guard guard = co_await image_lock.Lock();
  // Written down first, so that what a crash leaves behind is found and removed.
  auto begin = [this, &image]() -> Result<UniqueFd> {
    TRY(registry.RecordImage(image, ""));
    return blobs.OpenBlob(image);
  };
  CO_TRY_ASSIGN(const UniqueFd archive, co_await control.Run(begin));
  CO_TRY_ASSIGN(const std::string config, co_await images->Import(archive.get(), image));
  auto end = [this, &image, &config] { return registry.RecordImage(image, config); };
  co_return co_await control.Run(end);
}

DeployedPtr Deployer::Impl::MakeDeployed(const Revision& revision, Manifest manifest,
                                         FunctionFiles files) const {
  auto deployed = std::make_shared<Deployed>();
  // The data path has no use for these, and there may be thousands of functions.
  if (manifest.wasm) manifest.wasm->build.clear();
  if (manifest.container) manifest.container->build.clear();
  manifest.environment.clear();
  deployed->manifest = std::move(manifest);
  deployed->revision = revision.number;
  deployed->module = revision.content.module;
  // An image that is not unpacked here does not exist for the data path.
  if (images != nullptr && !revision.image_config.empty()) {
    deployed->image = revision.content.image;
    deployed->image_config = revision.image_config;
  }
  deployed->environment = std::move(files.environment);
  deployed->keys = std::move(files.keys);
  return deployed;
}

void Deployer::Impl::Serve(const Revision& revision, Manifest manifest, FunctionFiles files) {
  Entry& entry = entries[revision.content.function.value];
  const DeployedPtr& old = entry.function;
  const bool same = old != nullptr && entry.failure.empty() && old->revision == revision.number &&
                    old->environment == files.environment &&
                    old->image_config == revision.image_config;
  if (same) {
    // The same revision has the same key file; what it holds now counts at once.
    if (old->keys && files.keys) old->keys->TakeOver(*files.keys);
    return;
  }
  entry.function = MakeDeployed(revision, std::move(manifest), std::move(files));
  entry.revision = revision.number;
  entry.created = revision.created;
  entry.failure.clear();
  data_path.serve(entry.function);
}

Awaitable<DeployOutcome> Deployer::Impl::Commit(DeployRequest request, FunctionFiles files) {
  RevisionContent content;
  content.function = request.manifest.name;
  content.module = request.module;
  content.image = request.image;
  content.manifest = ManifestToJson(request.manifest);
  auto commit = [this, &content, &request] {
    return registry.Deploy(content, request.manifest.hosts);
  };
  CO_TRY_ASSIGN(const Registry::Deployment deployment, co_await control.Run(commit));
  // Nothing is awaited between here and Serve: the data path switches in the registry's order.
  DeployOutcome outcome;
  outcome.name = request.manifest.name;
  outcome.revision = deployment.revision.number;
  outcome.changed = deployment.changed;
  Serve(deployment.revision, std::move(request.manifest), std::move(files));
  if (deployment.changed) CollectSoon();
  co_return outcome;
}

Awaitable<DeployOutcome> Deployer::Deploy(DeployRequest request, Progress progress) {
  const Gate::Pass pass = impl_->gate.Enter();
  if (!pass) co_return Stopping();
  Impl& impl = *impl_;
  CO_TRY(CheckFunctionName(request.manifest.name.value));
  CO_TRY(impl.CheckRequest(request));
  const Need module_need(impl.needed, request.module);
  const Need image_need(impl.needed, request.image);
  auto check = [&impl, &request] { return impl.CheckFiles(request); };
  CO_TRY_ASSIGN(FunctionFiles files, co_await impl.control.Run(check));

  Revision candidate;
  candidate.content.function = request.manifest.name;
  candidate.content.module = request.module;
  DeployedPtr to_compile = impl.MakeDeployed(candidate, request.manifest, files);
  CO_TRY(co_await impl.Compile(std::move(to_compile), progress));
  CO_TRY(co_await impl.Unpack(request.image, progress));
  if (progress) co_await progress("commit", "switching to the new revision");
  co_return co_await impl.Commit(std::move(request), std::move(files));
}

Result<Deployer::Impl::Loaded> Deployer::Impl::LoadTarget(const FunctionName& name,
                                                          std::optional<RevisionId> to) const {
  TRY_ASSIGN(const Revision current, registry.Current(name));
  Loaded loaded;
  if (to) {
    TRY_ASSIGN(loaded.revision, registry.Find(name, *to));
  } else {
    TRY_ASSIGN(const std::vector<Revision> revisions, registry.Revisions(name));
    for (const Revision& revision : revisions) {
      if (revision.number < current.number) loaded.revision = revision;
    }
    if (loaded.revision.number.value == 0) {
      return Fail(Code::kNotFound, "function " + Quote(name.value) +
                                       " has no revision before the current one, " +
                                       std::to_string(current.number.value));
    }
  }
  TRY_ASSIGN(loaded.manifest, ManifestFromJson(loaded.revision.content.manifest));
  TRY_ASSIGN(loaded.files, ReadFiles(loaded.manifest));
  return loaded;
}

Awaitable<DeployOutcome> Deployer::Impl::Rollback(FunctionName name, std::optional<RevisionId> to) {
  auto load = [this, &name, to] { return LoadTarget(name, to); };
  CO_TRY_ASSIGN(Loaded target, co_await control.Run(load));
  CO_TRY(CheckNode(target.manifest));
  const Need need(needed, target.revision.content.image);
  DeployedPtr to_compile = MakeDeployed(target.revision, target.manifest, target.files);
  CO_TRY(co_await Compile(std::move(to_compile), {}));
  CO_TRY(co_await Unpack(target.revision.content.image, {}));
  struct Switched {
    Revision revision;
    bool changed;
  };
  auto move_pointer = [this, &name, &target]() -> Result<Switched> {
    TRY_ASSIGN(const Revision current, registry.Current(name));
    const bool changed = current.number != target.revision.number;
    if (changed) TRY(registry.SwitchTo(name, target.revision.number, target.manifest.hosts));
    TRY_ASSIGN(Revision revision, registry.Find(name, target.revision.number));
    return Switched{std::move(revision), changed};
  };
  CO_TRY_ASSIGN(const Switched switched, co_await control.Run(move_pointer));
  Serve(switched.revision, std::move(target.manifest), std::move(target.files));
  DeployOutcome outcome;
  outcome.name = name;
  outcome.revision = switched.revision.number;
  outcome.changed = switched.changed;
  co_return outcome;
}

Awaitable<DeployOutcome> Deployer::Rollback(FunctionName name, std::optional<RevisionId> to) {
  const Gate::Pass pass = impl_->gate.Enter();
  if (!pass) co_return Stopping();
  co_return co_await impl_->Rollback(std::move(name), to);
}

Awaitable<> Deployer::Remove(FunctionName name) {
  const Gate::Pass pass = impl_->gate.Enter();
  if (!pass) co_return Stopping();
  auto remove = [this, &name] { return impl_->registry.Remove(name); };
  CO_TRY(co_await impl_->control.Run(remove));
  impl_->entries.erase(name.value);
  impl_->data_path.withdraw(name);
  impl_->CollectSoon();
  co_return Result<>();
}

FunctionSummary Deployer::Impl::Summarize(const std::string& name, const Entry& entry) const {
  FunctionSummary summary;
  summary.name.value = name;
  summary.revision = entry.revision;
  summary.deployed = entry.created;
  summary.failure = entry.failure;
  if (entry.function != nullptr) {
    const Manifest& manifest = entry.function->manifest;
    summary.description = manifest.description;
    summary.wasm = manifest.wasm.has_value();
    summary.container = manifest.container.has_value();
    summary.policy = manifest.policy;
  }
  if (entry.failure.empty()) summary.status = data_path.status(summary.name);
  return summary;
}

std::vector<FunctionSummary> Deployer::List() const {
  std::vector<FunctionSummary> summaries;
  summaries.reserve(impl_->entries.size());
  for (const auto& [name, entry] : impl_->entries) {
    summaries.push_back(impl_->Summarize(name, entry));
  }
  return summaries;
}

size_t Deployer::count() const { return impl_->entries.size(); }

bool Deployer::Has(const FunctionName& name) const { return impl_->entries.contains(name.value); }

std::string Deployer::FailureOf(const FunctionName& name) const {
  const auto found = impl_->entries.find(name.value);
  return found == impl_->entries.end() ? "" : found->second.failure;
}

std::vector<std::shared_ptr<KeyFile>> Deployer::KeyFiles() const {
  std::vector<std::shared_ptr<KeyFile>> files;
  for (const auto& [name, entry] : impl_->entries) {
    if (entry.function != nullptr && entry.function->keys) files.push_back(entry.function->keys);
  }
  return files;
}

Awaitable<FunctionDescription> Deployer::Describe(FunctionName name) {
  const Gate::Pass pass = impl_->gate.Enter();
  if (!pass) co_return Stopping();
  auto read = [this, &name]() -> Result<FunctionDescription> {
    FunctionDescription description;
    TRY_ASSIGN(const Revision current, impl_->registry.Current(name));
    description.manifest = current.content.manifest;
    description.module = current.content.module;
    description.image = current.content.image;
    // A blob that is gone (removed by hand) does not make the function unknown.
    if (!description.module.value.empty()) {
      description.module_bytes = impl_->blobs.Touch(description.module).value_or(0);
    }
    if (!description.image.value.empty()) {
      description.image_bytes = impl_->blobs.Touch(description.image).value_or(0);
    }
    TRY_ASSIGN(description.revisions, impl_->registry.Revisions(name));
    TRY_ASSIGN(description.history, impl_->registry.History(name));
    return description;
  };
  CO_TRY_ASSIGN(FunctionDescription description, co_await impl_->control.Run(read));
  const auto entry = impl_->entries.find(name.value);
  if (entry == impl_->entries.end()) {
    co_return Fail(Code::kNotFound, "there is no function " + Quote(name.value));
  }
  description.summary = impl_->Summarize(name.value, entry->second);
  co_return description;
}

asio::awaitable<bool> Deployer::Stop(std::chrono::steady_clock::time_point until) {
  impl_->stopping = true;
  impl_->sleep.cancel();
  const bool empty = co_await CloseGate(impl_->gate, impl_->executor, until);
  co_return empty;
}

}  // namespace hybridserve

#include "admin/test_parts.h"

#include <gmock/gmock.h>

namespace hybridserve {

namespace asio = boost::asio;

Awaitable<std::string> FakeImporter::Import(int archive, Digest digest) {
  ++imports_;
  if (error_) co_return tl::unexpected<Error>(*error_);
  if (archive < 0) co_return Fail(Code::kInternal, "no archive");
  present_.insert(digest);
  co_return "{\"entrypoint\":[\"/function\"]}";
}

Awaitable<> FakeImporter::Remove(Digest image) {
  if (in_use_ > 0) {
    --in_use_;
    co_return Fail(Code::kConflict, "the image " + image.value + " is used");
  }
  present_.erase(image);
  co_return Result<>();
}

std::string MakeModule(uint8_t pages, const std::string& salt) {
  std::string module("\0asm\1\0\0\0", 8);
  module += std::string("\x01\x04\x01\x60\x00\x00", 6);                       // type: () -> ()
  module += std::string("\x03\x02\x01\x00", 4);                               // one function
  module += std::string("\x05\x03\x01\x00", 4);                               // one memory of ...
  module += static_cast<char>(pages & 0x7f);                                  // ... so many pages
  module += std::string("\x07\x0a\x01\x06_start\x00\x00", 12);                // its export
  module += std::string("\x0a\x04\x01\x02\x00\x0b", 6);                       // its code: end
  module += std::string("\x00", 1) + static_cast<char>(1 + 4 + salt.size());  // custom section
  module += "\x04salt" + salt;
  return module;
}

Manifest WasmManifest(const std::string& name) {
  Manifest manifest;
  manifest.name.value = name;
  manifest.wasm = WasmBuild{name + ".wasm", "make", AotTime::kDeploy};
  return manifest;
}

Manifest HybridManifest(const std::string& name) {
  Manifest manifest = WasmManifest(name);
  manifest.container.emplace().image = name + ".tar";
  return manifest;
}

DeployerFixture::DeployerFixture() : wasm_(loop_.executor()) {
  options_.state_folder = folder_.path() / "state";
  EXPECT_TRUE(MakeFolder(options_.state_folder));
}

DeployerFixture::~DeployerFixture() {
  if (deployer_) Stop();
}

void DeployerFixture::Start(Containers containers) {
  Result<BlobStore> blobs = BlobStore::Open(options_.state_folder / "blobs");
  ASSERT_TRUE(blobs) << blobs.error().message;
  blobs_.emplace(std::move(*blobs));
  Result<std::unique_ptr<Registry>> registry =
      Registry::Open(options_.state_folder / "registry.db");
  ASSERT_TRUE(registry) << registry.error().message;
  registry_ = std::move(*registry);
  DataPath data_path;
  data_path.serve = [this](DeployedPtr function) {
    const std::string name = function->manifest.name.value;
    served_log_.push_back(name + "@" + std::to_string(function->revision.value));
    served_[name] = std::move(function);
  };
  data_path.withdraw = [this](const FunctionName& name) {
    served_log_.push_back("-" + name.value);
    served_.erase(name.value);
  };
  data_path.status = [](const FunctionName&) { return LiveStatus{}; };
  const bool possible = containers == Containers::kPossible;
  if (!possible) options_.containers_why_not = "the node was not started by root";
  deployer_ =
      std::make_unique<Deployer>(loop_.executor(), options_, std::move(data_path), &wasm_,
                                 possible ? &images_ : nullptr, control_, *blobs_, *registry_);
  const Result<> started = loop_.Await(deployer_->Start());
  ASSERT_TRUE(started) << started.error().message;
}

void DeployerFixture::Stop() {
  auto stop = [](Deployer* deployer) -> Awaitable<> {
    EXPECT_TRUE(co_await deployer->Stop(std::chrono::steady_clock::time_point::max()));
    co_return Result<>();
  };
  loop_.Await(stop(deployer_.get()));
  deployer_.reset();
  registry_.reset();
  blobs_.reset();
  served_.clear();
  served_log_.clear();
}

Result<DeployOutcome> DeployerFixture::Deploy(DeployRequest request) {
  steps_.clear();
  auto note = [](std::vector<std::string>* steps, std::string step) -> asio::awaitable<void> {
    steps->push_back(std::move(step));
    co_return;
  };
  Deployer::Progress progress = [this, note](std::string step, std::string message) {
    EXPECT_FALSE(message.empty());
    return note(&steps_, std::move(step));
  };
  return loop_.Await(deployer_->Deploy(std::move(request), std::move(progress)));
}

DeployOutcome DeployerFixture::DeployWasm(Manifest manifest, const std::string& salt) {
  DeployRequest request;
  request.module = Upload(MakeModule(1, salt));
  request.manifest = std::move(manifest);
  const Result<DeployOutcome> outcome = Deploy(std::move(request));
  EXPECT_TRUE(outcome) << outcome.error().message;
  return outcome.value_or(DeployOutcome{});
}

DeployOutcome DeployerFixture::DeployHybrid(Manifest manifest, const std::string& salt) {
  DeployRequest request;
  request.module = Upload(MakeModule(1, salt));
  request.image = Upload("image " + salt);
  request.manifest = std::move(manifest);
  const Result<DeployOutcome> outcome = Deploy(std::move(request));
  EXPECT_TRUE(outcome) << outcome.error().message;
  return outcome.value_or(DeployOutcome{});
}

FunctionDescription DeployerFixture::Describe(const std::string& name) {
  Result<FunctionDescription> description = loop_.Await(deployer_->Describe(FunctionName{name}));
  EXPECT_TRUE(description) << description.error().message;
  return description ? std::move(*description) : FunctionDescription{};
}

int64_t DeployerFixture::CurrentRevision(const std::string& name) {
  auto read = [this, &name] { return registry_->Current(FunctionName{name}); };
  const Result<Revision> current = loop_.Await(control_.Run(read));
  return current ? current->number.value : -1;
}

std::string DeployerFixture::Snapshot() {
  // The registry belongs to the control thread.
  auto read = [this]() -> Result<std::string> {
    std::string text;
    TRY_ASSIGN(const std::vector<Revision> current, registry_->AllCurrent());
    for (const Revision& revision : current) {
      const FunctionName& name = revision.content.function;
      TRY_ASSIGN(const std::vector<Revision> revisions, registry_->Revisions(name));
      text += name.value + "@" + std::to_string(revision.number.value) + " of " +
              std::to_string(revisions.size()) + " " + revision.content.manifest + "\n";
    }
    return text;
  };
  std::string text = loop_.Await(control_.Run(read)).value();
  for (const auto& [name, function] : served_) {
    text += "serves " + name + "@" + std::to_string(function->revision.value) + "\n";
  }
  for (const FunctionSummary& summary : deployer_->List()) {
    text += "lists " + summary.name.value + " " + summary.failure + "\n";
  }
  return text;
}

void DeployerFixture::ExpectRefused(DeployRequest request, Code code, const std::string& words) {
  const std::string before = Snapshot();
  const Result<DeployOutcome> outcome = Deploy(std::move(request));
  ASSERT_FALSE(outcome) << "the deploy should have been refused: " << words;
  EXPECT_EQ(outcome.error().code, code) << outcome.error().message;
  EXPECT_THAT(outcome.error().message, testing::HasSubstr(words));
  EXPECT_EQ(Snapshot(), before);
}

}  // namespace hybridserve

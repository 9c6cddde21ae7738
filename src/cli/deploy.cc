// `hybridserve deploy`: uploads what the node lacks and makes it the function's live revision.
#include <fcntl.h>

#include <chrono>

#include "base/digest.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/format.h"
#include "cli/function_files.h"
#include "cli/image_source.h"
#include "container/image/packer.h"
#include "function/manifest.h"

namespace hybridserve::cli {
namespace {

/// Opens a build's file; without it, the sentence says how to make it.
Result<UniqueFd> OpenBuild(const std::filesystem::path& file, const FunctionFiles& files) {
  Result<UniqueFd> opened = OpenFile(file, O_RDONLY);
  if (opened || opened.error().code != Code::kNotFound) return opened;
  return Fail(Code::kNotFound, "there is no " + file.string() + "; run `hybridserve build " +
                                   files.folder.string() + "` first");
}

/// Sends one file to the node unless it has it already.
Result<Digest> UploadOnce(const AdminClient& client, int file, const std::string& what,
                          Progress& progress) {
  TRY_ASSIGN(const Digest digest, Sha256OfFile(file));
  TRY_ASSIGN(const bool known, client.HasBlob(digest));
  if (known) return digest;
  progress.Step("uploading the " + what);
  const auto advance = [&progress](uint64_t done, uint64_t total) {
    progress.Advance(done, total);
  };
  TRY_ASSIGN(const Digest stored, client.Upload(file, advance));
  if (stored != digest) {
    return Fail(Code::kCorrupt, "the " + what + " changed while it was uploaded; try again");
  }
  return digest;
}

Result<Digest> UploadImage(const AdminClient& client, const FunctionFiles& files,
                           Progress& progress) {
  if (!files.reference.empty()) {
    const TemporaryFolder temporary;
    const std::filesystem::path archive = temporary.path() / "image.tar";
    TRY(FetchImage(files.reference, archive, progress));
    TRY_ASSIGN(const UniqueFd image, OpenFile(archive, O_RDONLY));
    return UploadOnce(client, image.get(), "image", progress);
  }
  std::error_code error;
  if (!std::filesystem::is_directory(files.image, error)) {
    TRY_ASSIGN(const UniqueFd image, OpenBuild(files.image, files));
    return UploadOnce(client, image.get(), "image", progress);
  }
  const TemporaryFolder temporary;
  const std::filesystem::path archive = temporary.path() / "image.tar";
  progress.Step("packing " + files.image.string());
  TRY(PackLayoutFolder(files.image, archive));
  TRY_ASSIGN(const UniqueFd image, OpenFile(archive, O_RDONLY));
  return UploadOnce(client, image.get(), "image", progress);
}

std::string Summary(const FunctionFiles& files, const Json& done, const Json& node,
                    std::chrono::microseconds elapsed) {
  const Manifest& manifest = files.manifest;
  std::string builds = manifest.wasm ? "wasm" : "";
  if (manifest.container) builds += builds.empty() ? "container" : " and container";
  const std::string revision = TextAt(done, "/revision");
  std::string text = "deployed " + manifest.name.value + ", revision " + revision + " (" + builds +
                     "), in " + HumanDuration(elapsed) + "\n";
  if (done.contains("changed") && !FlagAt(done, "/changed")) {
    text = manifest.name.value + " is at revision " + revision + " already; nothing changed\n";
  }
  const std::string gateway = TextAt(node, "/gateway");
  if (!gateway.empty()) {
    text += "  http://" + gateway + "/function/" + manifest.name.value + "\n";
  }
  return text;
}

}  // namespace

Outcome RunDeploy(const DeployOptions& options, const Session& session) {
  const auto begun = std::chrono::steady_clock::now();
  TRY_ASSIGN(FunctionFiles files, ReadFunctionFiles(options.path));
  if (!options.base.empty()) {
    TRY_ASSIGN(files.image, files.ImageOn(options.base));
  }
  TRY_ASSIGN(const AdminClient client, session.Connect());
  Progress progress = session.MakeProgress();
  Json request = {{"manifest", Json::parse(ManifestToJson(files.manifest))}};
  if (!files.module.empty()) {
    TRY_ASSIGN(const UniqueFd module, OpenBuild(files.module, files));
    TRY_ASSIGN(const Digest digest, UploadOnce(client, module.get(), "module", progress));
    request["module"] = digest.value;
  }
  if (files.manifest.container) {
    TRY_ASSIGN(const Digest digest, UploadImage(client, files, progress));
    request["image"] = digest.value;
  }
  const auto on_event = [&progress](const Json& event) {
    progress.Step(TextAt(event, "/message"));
  };
  TRY_ASSIGN(const Json done, client.Deploy(request, on_event));
  progress.Finish();
  if (session.json()) {
    session.PrintJson(done);
    return 0;
  }
  const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - begun);
  session.terminal.Print(Summary(files, done, client.Node().value_or(Json::object()), elapsed));
  return 0;
}

}  // namespace hybridserve::cli

// `hybridserve build`: runs a function's build commands and packs its image.
#include <chrono>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/format.h"
#include "cli/function_files.h"
#include "cli/image_build.h"
#include "cli/shell.h"
#include "cli/table.h"

namespace hybridserve::cli {
namespace {

using std::chrono::steady_clock;

/// A build command's way to say that it lacks a toolchain, with what on its last line: the exit
/// status by which Automake's tests say that they are skipped.
constexpr int kToolchainMissing = 77;

/// What a build command's exit status means; `output` is what it printed.
Result<> CheckStatus(int status, const std::string& text, std::string output) {
  if (status == 0) return {};
  if (status == kToolchainMissing) {
    while (!output.empty() && output.back() == '\n') output.pop_back();
    return Fail(Code::kUnsupported, "a toolchain is missing: " +
                                        output.substr(output.rfind('\n') + 1));
  }
  return Fail(Code::kInvalidArgument,
              "the build command ended with status " + std::to_string(status) + ": " + text);
}

/// Runs one build command in the function's folder; `product` must be there afterwards. `base` is
/// what a native program is to run on.
Result<> RunCommand(const FunctionFiles& files, const std::string& text, std::string_view base,
                    const std::filesystem::path& product, const BuildOptions& options,
                    const Session& session, Progress& progress) {
  TRY(MakeFolder(product.parent_path()));
  if (!text.empty()) {
    progress.Step("building " + product.string());
    ShellCommand command;
    command.text = text;
    command.folder = files.folder;
    TRY_ASSIGN(command.variables, BuildVariables(text, base));
    if (options.verbose) {
      progress.Finish();
      session.terminal.Note(text + "\n");
      command.show = ShellCommand::Show::kYes;
    }
    TRY_ASSIGN(const ShellResult result, RunShell(command));
    progress.Finish();
    if (result.status != kToolchainMissing) session.terminal.Note(result.output);
    TRY(CheckStatus(result.status, text, result.output));
  }
  std::error_code error;
  if (std::filesystem::exists(product, error)) return {};
  return Fail(Code::kNotFound, product.string() + " is not there" +
                                   (text.empty() ? "; the manifest has no build command for it"
                                                 : " although its build command succeeded"));
}

uint64_t SizeOf(const std::filesystem::path& file) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(file, error);
  return error ? 0 : size;
}

struct Product {
  std::string kind;
  std::filesystem::path file;
  std::chrono::microseconds elapsed;
};

void PrintProducts(const std::vector<Product>& products, const Session& session) {
  if (session.json()) {
    Json list = Json::array();
    for (const Product& product : products) {
      list.push_back({{"kind", product.kind},
                      {"file", product.file.string()},
                      {"bytes", SizeOf(product.file)},
                      {"seconds", static_cast<double>(product.elapsed.count()) / 1e6}});
    }
    session.PrintJson({{"built", list}});
    return;
  }
  using Align = Table::Align;
  Table table({{"BUILD"}, {"FILE"}, {"SIZE", Align::kRight}, {"TOOK", Align::kRight}});
  for (const Product& product : products) {
    table.Add({product.kind, product.file.string(), HumanBytes(SizeOf(product.file)),
               HumanDuration(product.elapsed)});
  }
  session.terminal.Print(table.Render(session.terminal));
}

/// An image that the function's own command makes, or that is given.
Result<> BuildOwnImage(const FunctionFiles& files, const BuildOptions& options,
                       const Session& session, Progress& progress) {
  std::error_code error;
  const std::string& command = files.manifest.container->build;
  if (command.empty() && std::filesystem::exists(files.image, error)) return {};
  return RunCommand(files, command, "", files.image, options, session, progress);
}

/// Builds the program for one base and packs it. Returns the image.
Result<std::filesystem::path> BuildPackedImage(const FunctionFiles& files, const std::string& base,
                                               const BuildOptions& options, const Session& session,
                                               Progress& progress) {
  const ContainerBuild& container = *files.manifest.container;
  TRY_ASSIGN(std::filesystem::path image, files.ImageOn(base));
  TRY(RunCommand(files, container.build, base, (files.folder / container.binary).lexically_normal(),
                 options, session, progress));
  TRY(BuildImage(files, base, image, progress));
  return image;
}

}  // namespace

Outcome RunBuild(const BuildOptions& options, const Session& session) {
  TRY_ASSIGN(const FunctionFiles files, ReadFunctionFiles(options.path));
  Progress progress = session.MakeProgress();
  std::vector<Product> products;
  const auto add = [&products](std::string kind, const std::filesystem::path& file,
                               steady_clock::time_point begun) {
    const auto elapsed =
        std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - begun);
    products.push_back({std::move(kind), file, elapsed});
  };
  if (files.manifest.wasm) {
    const auto begun = steady_clock::now();
    TRY(RunCommand(files, files.manifest.wasm->build, "", files.module, options, session,
                   progress));
    add("wasm", files.module, begun);
  }
  std::vector<std::string> bases = files.Bases();
  if (!options.base.empty()) {
    TRY(files.ImageOn(options.base));
    bases = {options.base};
  }
  for (const std::string& base : bases) {
    const auto begun = steady_clock::now();
    TRY_ASSIGN(const auto image, BuildPackedImage(files, base, options, session, progress));
    add(files.Bases().size() > 1 ? "container (" + base + ")" : "container", image, begun);
  }
  if (files.manifest.container && bases.empty() && files.reference.empty()) {
    const auto begun = steady_clock::now();
    TRY(BuildOwnImage(files, options, session, progress));
    add("container", files.image, begun);
  }
  progress.Finish();
  PrintProducts(products, session);
  return 0;
}

}  // namespace hybridserve::cli

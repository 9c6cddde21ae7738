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

/// Runs one build command in the function's folder; `product` must be there afterwards.
Result<> RunCommand(const FunctionFiles& files, const std::string& text,
                    const std::filesystem::path& product, const BuildOptions& options,
                    const Session& session, Progress& progress) {
  TRY(MakeFolder(product.parent_path()));
  if (!text.empty()) {
    progress.Step("building " + product.string());
    ShellCommand command;
    command.text = text;
    command.folder = files.folder;
    TRY_ASSIGN(command.variables, BuildVariables(text));
    if (options.verbose) {
      progress.Finish();
      session.terminal.Note(text + "\n");
      command.show = ShellCommand::Show::kYes;
    }
    TRY_ASSIGN(const ShellResult result, RunShell(command));
    progress.Finish();
    session.terminal.Note(result.output);
    if (result.status != 0) {
      return Fail(Code::kInvalidArgument, "the build command ended with status " +
                                              std::to_string(result.status) + ": " + text);
    }
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

Result<> BuildContainer(const FunctionFiles& files, const BuildOptions& options,
                        const Session& session, Progress& progress) {
  const ContainerBuild& container = *files.manifest.container;
  if (container.binary.empty()) {
    std::error_code error;
    if (!container.build.empty() || !std::filesystem::exists(files.image, error)) {
      return RunCommand(files, container.build, files.image, options, session, progress);
    }
    return {};
  }
  TRY(RunCommand(files, container.build, (files.folder / container.binary).lexically_normal(),
                 options, session, progress));
  return BuildImage(files, progress);
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
    TRY(RunCommand(files, files.manifest.wasm->build, files.module, options, session, progress));
    add("wasm", files.module, begun);
  }
  if (files.manifest.container) {
    const auto begun = steady_clock::now();
    TRY(BuildContainer(files, options, session, progress));
    add("container", files.image, begun);
  }
  progress.Finish();
  PrintProducts(products, session);
  return 0;
}

}  // namespace hybridserve::cli

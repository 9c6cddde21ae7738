// `hybridserve new`: a folder with a function that builds and deploys as it is.
#include "base/file.h"
#include "cli/commands.h"
#include "cli/templates.h"
#include "function/manifest.h"

namespace hybridserve::cli {
namespace {

std::string Fill(std::string_view content, const std::string& name) {
  constexpr std::string_view kMark = "@NAME@";
  std::string filled;
  for (size_t begin = 0; begin < content.size();) {
    const size_t mark = content.find(kMark, begin);
    filled += content.substr(begin, mark - begin);
    if (mark == std::string_view::npos) break;
    filled += name;
    begin = mark + kMark.size();
  }
  return filled;
}

/// A new folder, or one that is there and empty.
Result<> PrepareFolder(const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) return MakeFolder(folder);
  if (std::filesystem::is_directory(folder, error) && std::filesystem::is_empty(folder, error)) {
    return {};
  }
  return Fail(Code::kConflict, folder.string() +
                                   " is there already and not an empty folder; "
                                   "choose another with --folder");
}

}  // namespace

Outcome RunNew(const NewOptions& options, const Session& session) {
  TRY(CheckFunctionName(options.name));
  const std::filesystem::path folder =
      options.folder.empty() ? std::filesystem::path(options.name) : options.folder;
  TRY(PrepareFolder(folder));
  Json written = Json::array();
  for (const TemplateFile& file : TemplateFiles()) {
    if (file.language != options.language) continue;
    const std::filesystem::path path = folder / file.name;
    TRY(WriteFileAtomically(path, Fill(file.content, options.name)));
    written.push_back(path.string());
  }
  if (session.json()) {
    session.PrintJson({{"folder", folder.string()}, {"files", written}});
    return 0;
  }
  std::string text = "made " + folder.string() + "\n";
  for (const Json& path : written) text += "  " + path.get<std::string>() + "\n";
  text += "next: hybridserve build " + folder.string() + " && hybridserve deploy " +
          folder.string() + "\n";
  session.terminal.Print(text);
  return 0;
}

}  // namespace hybridserve::cli

// `hybridserve logs`: what a function wrote to its standard error.
#include "cli/commands.h"

namespace hybridserve::cli {
namespace {

/// "2026-01-02T03:04:05.678Z  wasm       text"
std::string TextLine(const Terminal& terminal, const Json& line) {
  std::string prefix = TextAt(line, "/time");
  std::string source = TextAt(line, "/source");
  if (!source.empty()) {
    source.resize(std::max<size_t>(source.size(), 9), ' ');
    prefix += "  " + source;
  }
  if (!prefix.empty()) prefix += "  ";
  return terminal.Dim(prefix) + TextAt(line, "/text") + "\n";
}

}  // namespace

Outcome RunLogs(const LogsOptions& options, const Session& session) {
  TRY_ASSIGN(const AdminClient client, session.Connect());
  const auto show = [&session](const Json& line) -> Result<> {
    const Terminal& terminal = session.terminal;
    terminal.Print(session.json() ? line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"
                                  : TextLine(terminal, line));
    if (std::fflush(terminal.out) != 0) return FailErrno("write the log");
    return {};
  };
  const auto follow = options.follow ? AdminClient::Follow::kYes : AdminClient::Follow::kNo;
  TRY(client.Logs(options.name, options.tail, follow, show));
  return 0;
}

}  // namespace hybridserve::cli

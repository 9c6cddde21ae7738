// hybridserve: the command.
#include <string>
#include <vector>

#include "cli/arguments.h"

int main(int argc, char** argv) {
  using namespace hybridserve;
  using namespace hybridserve::cli;
  const Parsed parsed = ParseArguments(std::vector<std::string>(argv + 1, argv + argc));
  const Session session{Terminal::OfProcess(), parsed.common};
  if (!parsed.run) {
    if (parsed.exit_status == 0) {
      session.terminal.Print(parsed.text);
    } else {
      session.terminal.Note(parsed.text);
    }
    return parsed.exit_status;
  }
  const Outcome outcome = parsed.run(session);
  std::fflush(stdout);
  if (outcome) return *outcome;
  if (session.json()) {
    const Error& error = outcome.error();
    session.PrintJson({{"error", {{"code", CodeName(error.code)}, {"message", error.message}}}});
  }
  session.terminal.Note("hybridserve: " + outcome.error().message + "\n");
  return ExitCode(outcome.error().code);
}

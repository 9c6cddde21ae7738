// `hybridserve list`: the functions of a node, a line each.
#include <chrono>

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/function_view.h"
#include "cli/table.h"

namespace hybridserve::cli {

Outcome RunList(const Session& session) {
  TRY_ASSIGN(const AdminClient client, session.Connect());
  TRY_ASSIGN(const Json answer, client.Functions());
  if (session.json()) {
    session.PrintJson(answer);
    return 0;
  }
  using Align = Table::Align;
  Table table(
      {{"NAME"}, {"REVISION", Align::kRight}, {"BUILDS"}, {"POLICY"}, {"STATE"}, {"DEPLOYED"}});
  const auto now = std::chrono::system_clock::now();
  if (answer.contains("functions")) {
    for (const Json& function : answer["functions"]) {
      table.Add({TextAt(function, "/name"), TextAt(function, "/revision"), BuildsOf(function),
                 TextAt(function, "/policy"), StateOf(function),
                 AgeAt(function, "/deployed", now)});
    }
  }
  if (table.empty()) {
    session.terminal.Note(
        "no functions yet; `hybridserve new hello --lang cpp` makes one, `hybridserve deploy "
        "hello` "
        "deploys it\n");
    return 0;
  }
  session.terminal.Print(table.Render(session.terminal));
  return 0;
}

}  // namespace hybridserve::cli

// `hybridserve rollback`: makes an earlier revision the live one.
#include "cli/commands.h"

namespace hybridserve::cli {

Outcome RunRollback(const RollbackOptions& options, const Session& session) {
  TRY_ASSIGN(const AdminClient client, session.Connect());
  TRY_ASSIGN(const Json answer, client.Rollback(options.name, options.to));
  if (session.json()) {
    session.PrintJson(answer);
  } else {
    session.terminal.Print(options.name + " is at revision " + TextAt(answer, "/revision") + "\n");
  }
  return 0;
}

}  // namespace hybridserve::cli

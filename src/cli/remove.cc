// `hybridserve remove`: takes functions out of service, with their revisions.
#include "cli/commands.h"

namespace hybridserve::cli {

Outcome RunRemove(const RemoveOptions& options, const Session& session) {
  TRY_ASSIGN(const AdminClient client, session.Connect());
  Json removed = Json::array();
  for (const std::string& name : options.names) {
    TRY(client.Remove(name));
    removed.push_back(name);
    if (!session.json()) session.terminal.Print("removed " + name + "\n");
  }
  if (session.json()) session.PrintJson({{"removed", removed}});
  return 0;
}

}  // namespace hybridserve::cli

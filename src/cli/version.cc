// `hybridserve version`: of this program, and of the node if one is running.
#include "cli/commands.h"

namespace hybridserve::cli {

Outcome RunVersion(const Session& session) {
  std::string node;
  if (Result<AdminClient> client = session.Connect()) {
    if (Result<Json> answer = client->Node()) node = TextAt(*answer, "/version");
  }
  if (session.json()) {
    Json versions = {{"client", HYBRIDSERVE_VERSION}, {"node", nullptr}};
    if (!node.empty()) versions["node"] = node;
    session.PrintJson(versions);
    return 0;
  }
  session.terminal.Print("hybridserve " HYBRIDSERVE_VERSION "\n");
  session.terminal.Print(node.empty() ? "node        none running\n"
                                      : "node        " + node + "\n");
  return 0;
}

}  // namespace hybridserve::cli

#include "cli/session.h"

#include <cstdlib>

#include "base/file.h"
#include "config/node_config.h"

namespace hybridserve::cli {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<std::string> ReadToken(const std::filesystem::path& file) {
  TRY_ASSIGN(std::string token, ReadFile(file, 4096));
  token.erase(token.find_last_not_of(" \t\r\n") + 1);
  if (token.empty() || token.find_first_of(" \t\r\n") != std::string::npos) {
    return Fail(Code::kInvalidArgument,
                "the token file " + file.string() + " must hold one word, the node's token");
  }
  return token;
}

}  // namespace

Progress Session::MakeProgress() const { return json() ? Progress::Silent() : Progress(terminal); }

void Session::PrintJson(const Json& document) const {
  terminal.Print(document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Result<AdminClient> Session::Connect() const {
  std::string node = options.node;
  if (node.empty() && options.state_folder.empty()) node = Variable("HYBRIDSERVE_NODE");
  if (node.empty()) {
    NodeConfig config;
    config.state_folder =
        options.state_folder.empty() ? DefaultStateFolder() : options.state_folder;
    HttpAddress address;
    address.socket = config.AdminSocket();
    return AdminClient(std::move(address), "");
  }
  TRY_ASSIGN(HttpAddress address, HttpAddress::Parse(node));
  std::filesystem::path file = options.token_file;
  if (file.empty()) file = Variable("HYBRIDSERVE_TOKEN_FILE");
  if (file.empty()) return AdminClient(std::move(address), "");
  TRY_ASSIGN(std::string token, ReadToken(file));
  return AdminClient(std::move(address), std::move(token));
}

}  // namespace hybridserve::cli

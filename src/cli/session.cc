#include "cli/session.h"

#include <cstdlib>

#include "base/file.h"
#include "config/node_config.h"

namespace hybridserve::cli {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<std::string> ReadWord(const std::filesystem::path& file, const std::string& what) {
  TRY_ASSIGN(std::string word, ReadFile(file, 4096));
  word.erase(word.find_last_not_of(" \t\r\n") + 1);
  if (word.empty() || word.find_first_of(" \t\r\n") != std::string::npos) {
    return Fail(Code::kInvalidArgument,
                "the file " + file.string() + " must hold one word, " + what);
  }
  return word;
}

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
  if (node.find("://") == std::string::npos) node = "https://" + node;
  TRY_ASSIGN(HttpAddress address, ParseAddress(node));
  // A token is never sent so that others can read it.
  if (!address.tls && !address.IsLocal()) {
    return Fail(Code::kInvalidArgument,
                "a node elsewhere is reached over TLS only: write https://" + address.Text());
  }
  std::filesystem::path file = options.token_file;
  if (file.empty()) file = Variable("HYBRIDSERVE_TOKEN_FILE");
  if (file.empty()) return AdminClient(std::move(address), Variable("HYBRIDSERVE_TOKEN"));
  TRY_ASSIGN(std::string token, ReadWord(file, "one of the node's tokens"));
  return AdminClient(std::move(address), std::move(token));
}

Result<HttpAddress> Session::ParseAddress(const std::string& text) const {
  TRY_ASSIGN(HttpAddress address, HttpAddress::Parse(text));
  address.ca = options.ca;
  if (address.ca.empty()) address.ca = Variable("HYBRIDSERVE_CA");
  return address;
}

}  // namespace hybridserve::cli

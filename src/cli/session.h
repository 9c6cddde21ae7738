// Session: what all commands share.
//
// Thread rule: one thread.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "cli/admin_client.h"
#include "cli/progress.h"
#include "cli/terminal.h"

namespace hybridserve::cli {

/// Options that every command takes.
struct CommonOptions {
  enum class Output : uint8_t { kText, kJson };
  Output output = Output::kText;
  std::filesystem::path state_folder;  ///< Of a node on this machine; empty: the default.
  std::string node;                    ///< "https://HOST:PORT" of a node elsewhere; wins.
  std::filesystem::path token_file;    ///< Bearer token for `node`.
  std::filesystem::path ca;            ///< Whom to trust with TLS; empty: as the system does.
};

struct Session {
  Terminal terminal;
  CommonOptions options;

  [[nodiscard]] bool json() const { return options.output == CommonOptions::Output::kJson; }
  /// Shows progress, but not beside JSON.
  [[nodiscard]] Progress MakeProgress() const;
  /// Prints a document as `--output json` shows it.
  void PrintJson(const Json& document) const;

  /// The client for the node that the options, HYBRIDSERVE_NODE and HYBRIDSERVE_STATE name.
  /// Does not connect yet. Errors: kInvalidArgument; the token file's.
  [[nodiscard]] Result<AdminClient> Connect() const;
  /// An address as the user wrote it, with whom to trust there (--ca, HYBRIDSERVE_CA).
  [[nodiscard]] Result<HttpAddress> ParseAddress(const std::string& text) const;
};

/// The one word that a file holds: a token or a key, called `what` in errors, which never quote it.
Result<std::string> ReadWord(const std::filesystem::path& file, const std::string& what);
/// The environment's variable; empty: it is not set.
std::string Variable(const char* name);

}  // namespace hybridserve::cli

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
  std::string node;                    ///< "http://HOST:PORT" of a node elsewhere; wins.
  std::filesystem::path token_file;    ///< Bearer token for `node`.
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
};

}  // namespace hybridserve::cli

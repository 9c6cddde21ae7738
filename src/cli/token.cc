// `hybridserve token`: makes a bearer token or key, and keeps its hash.
#include <sys/stat.h>

#include "base/file.h"
#include "cli/commands.h"
#include "function/keys.h"

namespace hybridserve::cli {
namespace {

constexpr uint64_t kLargestFile = 64 * 1024;
// Hashes of random keys give nothing away, and the node's server must be able to read them.
constexpr mode_t kMode = 0644;

/// Adds `line` to a key file, which keeps its mode and owner. Whatever is wrong changes nothing.
Result<> AddLine(const std::filesystem::path& file, const std::string& line) {
  struct stat status {};
  const bool is_there = ::stat(file.c_str(), &status) == 0;
  std::string text;
  if (is_there) {
    TRY_ASSIGN(text, ReadFile(file, kLargestFile));
  }
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  text += line;
  TRY(KeySet::Parse(text, file.string()));
  if (!is_there) return WriteFileAtomically(file, text, kMode);
  return WriteFileAtomically(file, text, status.st_mode & 07777u,
                             FileOwner{status.st_uid, status.st_gid});
}

}  // namespace

Outcome RunToken(const TokenOptions& options, const Session& session) {
  if (!options.name.empty()) TRY(CheckKeyName(options.name));
  const std::string token = MakeKey();
  const std::string line = KeyLine(options.name, token);
  if (!options.file.empty()) TRY(AddLine(options.file, line));
  if (session.json()) {
    session.PrintJson({{"token", token}, {"line", line.substr(0, line.size() - 1)}});
    return 0;
  }
  session.terminal.Print(token + "\n");
  session.terminal.Note(options.file.empty()
                            ? "It is shown this once. The line for the node's file:\n" + line
                            : "It is shown this once; its hash is in " + options.file.string() +
                                  ".\n");
  return 0;
}

}  // namespace hybridserve::cli

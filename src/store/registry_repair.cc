#include "store/registry_repair.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/file.h"
#include "store/blob_store.h"
#include "store/registry_file.h"

namespace hybridserve {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kMaxRegistryBytes = uint64_t{1} << 30;

// As many rows as can be read.
void ReadFunctions(SQLite::Database& db, std::vector<RegisteredFunction>& functions) {
  SQLite::Statement rows(db,
                         "SELECT f.name, r.number, r.module, r.image FROM functions f JOIN "
                         "revisions r ON r.function = f.id WHERE r.number = f.current");
  while (rows.executeStep()) {
    functions.push_back({rows.getColumn(0).getString(), rows.getColumn(1).getInt64(),
                         rows.getColumn(2).getString(), rows.getColumn(3).getString()});
  }
}

// Opens `work`, a copy of `path` that may be written: a write-ahead log is taken in.
void Examine(const fs::path& work, RegistryFileReport& report) {
  try {
    SQLite::Database db(work.string(), SQLite::OPEN_READWRITE);
    db.exec("PRAGMA trusted_schema = OFF");
    const Result<RegistryFacts> facts = CheckRegistry(db, report.path);
    if (facts) report.generation = facts->generation;
    if (!facts) report.problem = facts.error().message;
    // Nothing is in it yet, not even a table: the power went at the very first start.
    if (facts && facts->version == 0) return;
    ReadFunctions(db, report.functions);
  } catch (const SQLite::Exception& error) {
    if (report.problem.empty()) report.problem = DamagedRegistry(report.path, error.what()).message;
  }
  std::ranges::sort(report.functions, {}, &RegisteredFunction::name);
}

Result<RegistryFileReport> Report(const fs::path& path) {
  RegistryFileReport report;
  report.path = path;
  const TemporaryFolder folder;
  for (const char* suffix : {"", "-wal"}) {
    const Result<std::string> bytes = ReadFile(path.string() + suffix, kMaxRegistryBytes);
    if (!bytes && bytes.error().code == Code::kNotFound) continue;
    if (!bytes) return tl::unexpected(bytes.error());
    const fs::path work = folder.path() / ("registry.db" + std::string(suffix));
    TRY(WriteFileAtomically(work, *bytes, 0600));
    report.exists = report.exists || suffix[0] == '\0';
  }
  if (report.exists) Examine(folder.path() / "registry.db", report);
  return report;
}

std::vector<std::string> BlobProblems(const fs::path& blobs_folder,
                                      const std::vector<RegisteredFunction>& functions) {
  const BlobStore blobs = BlobStore::OpenToRead(blobs_folder);
  std::vector<std::string> problems;
  for (const RegisteredFunction& function : functions) {
    for (const std::string& digest : {function.module, function.image}) {
      if (digest.empty()) continue;
      const Result<> whole = blobs.Verify(Digest{digest});
      if (whole) continue;
      problems.push_back("function '" + function.name + "', revision " +
                         std::to_string(function.revision) + ": " + whole.error().message);
    }
  }
  return problems;
}

Result<fs::path> MakeFolderAside(const fs::path& registry) {
  for (int number = 1; number < 10'000; ++number) {
    fs::path folder = registry.string() + ".aside-" + std::to_string(number);
    if (::mkdir(folder.c_str(), 0700) == 0) return folder;
    if (errno != EEXIST) return FailErrno("create folder " + folder.string());
  }
  return Fail(Code::kConflict,
              "there are 10,000 folders " + registry.string() + ".aside-*; remove the old ones");
}

// Writes `content` to `path`, durably, for the owner of its folder.
Result<> Put(const fs::path& path, const std::string& content) {
  TRY(WriteFileAtomically(path, content, 0600));
  struct stat folder {};
  if (::stat(path.parent_path().c_str(), &folder) != 0)
    return FailErrno("look at " + path.string());
  if (::geteuid() == 0 && ::chown(path.c_str(), folder.st_uid, folder.st_gid) != 0) {
    return FailErrno("chown " + path.string());
  }
  return SyncFolder(path.parent_path());
}

// The log goes first: it must not be taken into another database.
Result<> MoveAside(const fs::path& registry, const fs::path& aside) {
  for (const char* suffix : {"-wal", "-shm", "-journal", ""}) {
    const fs::path from = registry.string() + suffix;
    if (::rename(from.c_str(), (aside / from.filename()).c_str()) != 0 && errno != ENOENT) {
      return FailErrno("move " + from.string() + " to " + aside.string());
    }
    TRY(SyncFolder(registry.parent_path()));
  }
  return SyncFolder(aside);
}

std::vector<RegisteredFunction> Without(const std::vector<RegisteredFunction>& all,
                                        const std::vector<RegisteredFunction>& kept) {
  std::vector<RegisteredFunction> rest;
  std::ranges::copy_if(all, std::back_inserter(rest), [&kept](const RegisteredFunction& function) {
    return std::ranges::find(kept, function) == kept.end();
  });
  return rest;
}

Error NothingToRestore(const RegistryReport& report) {
  const std::string copy = report.copy.exists ? report.copy.problem : "it has no copy";
  const std::string registry = report.registry.exists
                                   ? report.registry.problem
                                   : "there is no " + report.registry.path.string();
  return {Code::kCorrupt, "there is nothing to restore from: " + registry + "; " + copy +
                              ". Name a copy of your own, or move both files away and deploy the "
                              "functions again"};
}

}  // namespace

bool RegistryReport::registry_ok() const {
  if (!registry.exists) return !copy.exists;
  return registry.sound() && !(copy.sound() && copy.generation > registry.generation);
}

Result<RegistryReport> CheckRegistryFolder(const fs::path& server_folder) {
  const fs::path path = server_folder / "registry.db";
  RegistryReport report;
  TRY_ASSIGN(report.registry, Report(path));
  TRY_ASSIGN(report.copy, Report(RegistryCopyPath(path)));
  if (report.registry.sound() && !report.registry_ok()) {
    report.registry.problem = DamagedRegistry(path, "it lacks changes that its copy has").message;
  }
  if (!report.registry.exists && report.copy.sound()) {
    report.registry.problem = DamagedRegistry(path, "it is missing").message;
  }
  const RegistryFileReport& good = report.registry.sound() ? report.registry : report.copy;
  if (good.sound()) report.blob_problems = BlobProblems(server_folder / "blobs", good.functions);
  return report;
}

Result<RestoredRegistry> RestoreRegistry(const fs::path& server_folder,
                                         const std::optional<fs::path>& from) {
  TRY_ASSIGN(const RegistryReport before, CheckRegistryFolder(server_folder));
  RestoredRegistry restored;
  restored.functions = before.registry.functions;
  if (!from && before.registry_ok()) return restored;
  if (!from && !before.copy.sound()) return tl::unexpected(NothingToRestore(before));
  const fs::path source = from ? *from : before.copy.path;
  TRY_ASSIGN(const RegistryFileReport report, Report(source));
  if (!report.exists) return Fail(Code::kNotFound, "there is no " + source.string());
  if (!report.sound()) return Fail(Code::kCorrupt, report.problem);
  TRY_ASSIGN(const std::string content, ReadFile(source, kMaxRegistryBytes));

  const fs::path registry = server_folder / "registry.db";
  TRY_ASSIGN(restored.aside, MakeFolderAside(registry));
  if (from) {
    // The copy first: a node starts on the old registry, or refuses, until all is done.
    std::error_code error;
    fs::copy_file(before.copy.path, restored.aside / before.copy.path.filename(), error);
    TRY(Put(before.copy.path, content));
  }
  TRY(MoveAside(registry, restored.aside));
  TRY(Put(registry, content));
  restored.changed = true;
  restored.functions = report.functions;
  restored.lost = Without(before.registry.functions, restored.functions);
  return restored;
}

}  // namespace hybridserve

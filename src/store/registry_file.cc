#include "store/registry_file.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/digest.h"
#include "base/file.h"
#include "store/registry_schema.h"

namespace hybridserve {

namespace fs = std::filesystem;

namespace {

// The digest of a row's columns can be told from that of any other split of the same bytes.
void AppendColumn(const SQLite::Column& column, std::string& out) {
  const std::string text = column.isNull() ? "" : column.getString();
  out += column.isNull() ? 'n' : 'v';
  out += std::to_string(text.size()) + ":" + text;
}

// Hashed row by row, so that the memory does not grow with the registry.
std::string ContentDigest(SQLite::Database& db, int64_t generation) {
  std::string digest = Sha256("registry " + std::to_string(generation)).value;
  for (const char* query :
       {"SELECT id, name, current, last_number FROM functions ORDER BY id",
        "SELECT function, number, module, image, manifest, created FROM revisions ORDER BY "
        "function, number",
        "SELECT id, function, time, revision, rollback FROM switches ORDER BY id",
        "SELECT image, config FROM images ORDER BY image",
        "SELECT host, function FROM hosts ORDER BY host"}) {
    SQLite::Statement rows(db, query);
    digest = Sha256(digest + query).value;
    std::string row;
    while (rows.executeStep()) {
      row.assign(digest);
      for (int i = 0; i < rows.getColumnCount(); ++i) AppendColumn(rows.getColumn(i), row);
      digest = Sha256(row).value;
    }
  }
  return digest;
}

Result<int64_t> CheckSeal(SQLite::Database& db, const fs::path& path) {
  SQLite::Statement seal(db, "SELECT generation, content FROM seal WHERE id = 1");
  if (!seal.executeStep()) return tl::unexpected(DamagedRegistry(path, "it has no seal"));
  const int64_t generation = seal.getColumn(0).getInt64();
  const std::string content = seal.getColumn(1).getString();
  if (ContentDigest(db, generation) == content) return generation;
  return tl::unexpected(DamagedRegistry(path, "its content does not match its digest"));
}

std::string RestoreCommand(const fs::path& path) {
  return "hybridserve registry restore --state-folder " + path.parent_path().parent_path().string();
}

}  // namespace

Error DamagedRegistry(const fs::path& path, const std::string& why) {
  return {Code::kCorrupt, "the registry " + path.string() + " is damaged (" + why +
                              "); put its copy back: " + RestoreCommand(path)};
}

Result<RegistryFacts> CheckRegistry(SQLite::Database& db, const fs::path& path) {
  const int32_t application = db.execAndGet("PRAGMA application_id").getInt();
  RegistryFacts facts;
  facts.version = db.execAndGet("PRAGMA user_version").getInt();
  const bool empty = db.execAndGet("SELECT count(*) FROM sqlite_master").getInt() == 0;
  if (application != kRegistryApplicationId && !(empty && application == 0)) {
    return Fail(Code::kCorrupt,
                path.string() +
                    " is a database of some other program; move it away, or use "
                    "another state folder; or, if it was this node's, put its copy back: " +
                    RestoreCommand(path));
  }
  if (facts.version > static_cast<int>(kRegistryMigrations.size())) {
    return Fail(Code::kUnsupported,
                "the registry " + path.string() + " was written by a newer version (" + "format " +
                    std::to_string(facts.version) + ", this one knows " +
                    std::to_string(kRegistryMigrations.size()) +
                    "); use that version, or, if there was none, put its copy back: " +
                    RestoreCommand(path));
  }
  std::string check = db.execAndGet("PRAGMA quick_check(1)").getString();
  std::ranges::replace(check, '\n', ' ');
  if (check != "ok") return tl::unexpected(DamagedRegistry(path, check));
  if (facts.version < kFirstSealedVersion) return facts;
  TRY_ASSIGN(facts.generation, CheckSeal(db, path));
  return facts;
}

void SealRegistry(SQLite::Database& db) {
  db.exec("UPDATE seal SET generation = generation + 1");
  const int64_t generation = db.execAndGet("SELECT generation FROM seal").getInt64();
  SQLite::Statement note(db, "UPDATE seal SET content = ?");
  note.bind(1, ContentDigest(db, generation));
  note.exec();
}

fs::path RegistryCopyPath(const fs::path& path) { return path.string() + ".bak"; }

Result<> WriteRegistryCopy(SQLite::Database& db, const fs::path& path) {
  const fs::path copy = RegistryCopyPath(path);
  std::string temporary = copy.string() + ".XXXXXX";
  // SQLite writes into an empty file that is there, and leaves it its mode, 0600.
  const UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return FailErrno("create " + temporary);
  Result<> written;
  try {
    SQLite::Statement vacuum(db, "VACUUM INTO ?");
    vacuum.bind(1, temporary);
    vacuum.exec();
  } catch (const SQLite::Exception& error) {
    written = Fail(Code::kUnavailable, "write " + temporary + ": " + error.what());
  }
  if (written && ::fsync(fd.get()) != 0) written = FailErrno("sync " + temporary);
  if (written && ::rename(temporary.c_str(), copy.c_str()) != 0) {
    written = FailErrno("rename " + temporary + " to " + copy.string());
  }
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  return SyncFolder(copy.parent_path());
}

void RemoveCopyDrafts(const fs::path& path) {
  const std::string prefix = RegistryCopyPath(path.filename()).string() + ".";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path.parent_path(), error)) {
    if (entry.path().filename().string().starts_with(prefix)) ::unlink(entry.path().c_str());
  }
}

Result<RegistryFacts> CheckRegistryCopy(const fs::path& copy) {
  std::error_code error;
  if (!fs::exists(copy, error)) return Fail(Code::kNotFound, "there is no " + copy.string());
  try {
    SQLite::Database db(copy.string(), SQLite::OPEN_READONLY);
    db.exec("PRAGMA trusted_schema = OFF");
    TRY_ASSIGN(const RegistryFacts facts, CheckRegistry(db, copy));
    if (facts.generation > 0) return facts;
    return Fail(Code::kCorrupt, copy.string() + " has no content");
  } catch (const SQLite::Exception& thrown) {
    return Fail(Code::kCorrupt, copy.string() + " cannot be read: " + thrown.what());
  }
}

}  // namespace hybridserve

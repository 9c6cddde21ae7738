#include "store/registry.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <type_traits>
#include <utility>

#include "base/log.h"
#include "base/unique_fd.h"
#include "function/units.h"
#include "store/registry_file.h"
#include "store/registry_schema.h"

namespace hybridserve {

namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

constexpr int kLockTimeoutMs = 2000;

int64_t Now() {
  return std::chrono::duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}
system_clock::time_point TimeOf(int64_t ms) { return system_clock::time_point(milliseconds(ms)); }

constexpr char kRevisionColumns[] =
    "f.name, r.number, r.module, r.image, r.manifest, r.created, coalesce(i.config, '')";
constexpr char kRevisionTables[] =
    " FROM functions f JOIN revisions r ON r.function = f.id LEFT JOIN images i ON i.image = "
    "r.image ";

Revision RevisionOf(SQLite::Statement& row) {
  Revision revision;
  revision.content.function.value = row.getColumn(0).getString();
  revision.number.value = row.getColumn(1).getInt64();
  revision.content.module.value = row.getColumn(2).getString();
  revision.content.image.value = row.getColumn(3).getString();
  revision.content.manifest = row.getColumn(4).getString();
  revision.created = TimeOf(row.getColumn(5).getInt64());
  revision.image_config = row.getColumn(6).getString();
  return revision;
}

tl::unexpected<Error> NoFunction(const FunctionName& function) {
  return Fail(Code::kNotFound, "there is no function " + Quote(function.value));
}

tl::unexpected<Error> NoRevision(const FunctionName& function, RevisionId number) {
  return Fail(Code::kNotFound, "function " + Quote(function.value) + " has no revision " +
                                   std::to_string(number.value));
}

}  // namespace

struct Registry::Impl {
  Impl(const std::filesystem::path& file, int flags) : path(file.string()), db(path, flags) {}

  /// Runs `work`, which throws SQLite::Exception or returns a Result.
  template <typename Work>
  auto Guard(const Work& work) -> std::invoke_result_t<Work> {
    try {
      return work();
    } catch (const SQLite::Exception& error) {
      return tl::unexpected<Error>(ErrorOf(error, path));
    }
  }

  static Error ErrorOf(const SQLite::Exception& error, const std::string& path);

  std::optional<int64_t> IdOf(const FunctionName& function);
  std::optional<Revision> Select(const std::string& where, const FunctionName& function,
                                 RevisionId number);
  Result<> ClaimHosts(int64_t id, const std::vector<std::string>& hosts);
  void AppendSwitch(int64_t id, RevisionId number, bool rollback);
  void Prune(int64_t id);
  /// Seals and commits a change, and brings the copy up to date.
  void Commit(SQLite::Transaction& transaction);
  /// A copy that cannot be written does not undo the change, which is on the disk.
  void Copy();

  const std::string path;
  SQLite::Database db;
};

Error Registry::Impl::ErrorOf(const SQLite::Exception& error, const std::string& path) {
  switch (error.getErrorCode()) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Code::kConflict, "the registry " + path +
                                   " is locked by another process: another node, or a tool that "
                                   "has the database open; end it, or use another state folder"};
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return DamagedRegistry(path, error.what());
    case SQLITE_FULL:
      return {Code::kUnavailable, "the registry " + path + " cannot grow: the disk is full"};
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return {Code::kForbidden,
              "the registry " + path + " cannot be opened for writing (" + error.what() + ")"};
    default:
      return {Code::kInternal, "the registry " + path + ": " + error.what()};
  }
}

namespace {

void Migrate(SQLite::Database& db, int version) {
  const int newest = static_cast<int>(kRegistryMigrations.size());
  if (version == newest) return;
  SQLite::Transaction transaction(db);
  for (int step = version; step < newest; ++step) {
    db.exec(kRegistryMigrations[static_cast<size_t>(step)]);
  }
  db.exec("PRAGMA application_id = " + std::to_string(kRegistryApplicationId));
  db.exec("PRAGMA user_version = " + std::to_string(newest));
  SealRegistry(db);
  transaction.commit();
}

// Whether the registry's copy holds the same. Errors: kCorrupt the copy holds more.
Result<bool> IsCopied(const std::filesystem::path& path, const RegistryFacts& facts) {
  const Result<RegistryFacts> copy = CheckRegistryCopy(RegistryCopyPath(path));
  if (!copy) {
    if (copy.error().code != Code::kNotFound) {
      spdlog::warn("the registry's copy is damaged and written anew: {}", copy.error().message);
    }
    return false;
  }
  if (copy->generation > facts.generation) {
    return tl::unexpected(DamagedRegistry(path, "it lacks changes that its copy has"));
  }
  return copy->generation == facts.generation;
}

}  // namespace

Registry::Registry(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Registry::~Registry() = default;

Result<std::unique_ptr<Registry>> Registry::Open(const std::filesystem::path& path) {
  try {
    // Only the server's user may read the manifests' environment. The write-ahead log takes over
    // the file's mode. An existing file is not opened here: closing it would drop SQLite's locks.
    UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    auto impl = std::make_unique<Impl>(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    SQLite::Database& db = impl->db;
    // A tool that only has a look is waited for.
    db.setBusyTimeout(kLockTimeoutMs);
    db.exec("PRAGMA locking_mode = EXCLUSIVE");
    db.exec("PRAGMA foreign_keys = ON");
    db.exec("PRAGMA trusted_schema = OFF");
    // Takes the exclusive lock that is held from here on; a second opener fails here.
    db.exec("BEGIN EXCLUSIVE; COMMIT");
    RemoveCopyDrafts(path);
    TRY_ASSIGN(const RegistryFacts facts, CheckRegistry(db, path));
    TRY_ASSIGN(const bool copied, IsCopied(path, facts));
    db.exec("PRAGMA journal_mode = WAL");
    db.exec("PRAGMA synchronous = FULL");
    Migrate(db, facts.version);
    if (!copied) impl->Copy();
    return std::unique_ptr<Registry>(new Registry(std::move(impl)));
  } catch (const SQLite::Exception& error) {
    // A table that is missing, a format that SQLite does not know or may not write.
    const bool writable = ::access(path.c_str(), W_OK) == 0;
    if (error.getErrorCode() == SQLITE_ERROR ||
        (error.getErrorCode() == SQLITE_READONLY && writable)) {
      return tl::unexpected(DamagedRegistry(path, error.what()));
    }
    return tl::unexpected<Error>(Impl::ErrorOf(error, path.string()));
  }
}

std::optional<int64_t> Registry::Impl::IdOf(const FunctionName& function) {
  SQLite::Statement query(db, "SELECT id FROM functions WHERE name = ? AND current IS NOT NULL");
  query.bind(1, function.value);
  if (!query.executeStep()) return std::nullopt;
  return query.getColumn(0).getInt64();
}

std::optional<Revision> Registry::Impl::Select(const std::string& where,
                                               const FunctionName& function, RevisionId number) {
  SQLite::Statement query(db, std::string("SELECT ") + kRevisionColumns + kRevisionTables +
                                  "WHERE f.name = ?1 AND f.current IS NOT NULL AND " + where);
  query.bind(1, function.value);
  if (number.value != 0) query.bind(2, number.value);
  if (!query.executeStep()) return std::nullopt;
  return RevisionOf(query);
}

// Gives the function these hosts and no others.
Result<> Registry::Impl::ClaimHosts(int64_t id, const std::vector<std::string>& hosts) {
  SQLite::Statement drop(db, "DELETE FROM hosts WHERE function = ?");
  drop.bind(1, id);
  drop.exec();
  for (const std::string& host : hosts) {
    SQLite::Statement owner(db,
                            "SELECT f.name FROM hosts h JOIN functions f ON f.id = h.function "
                            "WHERE h.host = ? AND h.function != ?");
    owner.bind(1, host);
    owner.bind(2, id);
    if (owner.executeStep()) {
      return Fail(Code::kConflict, "the host name " + Quote(host) + " belongs to function " +
                                       Quote(owner.getColumn(0).getString()) +
                                       "; remove that function, or take the name off its manifest");
    }
    SQLite::Statement insert(db, "INSERT OR IGNORE INTO hosts (host, function) VALUES (?, ?)");
    insert.bind(1, host);
    insert.bind(2, id);
    insert.exec();
  }
  return {};
}

void Registry::Impl::AppendSwitch(int64_t id, RevisionId number, bool rollback) {
  SQLite::Statement pointer(db, "UPDATE functions SET current = ? WHERE id = ?");
  pointer.bind(1, number.value);
  pointer.bind(2, id);
  pointer.exec();
  SQLite::Statement insert(
      db, "INSERT INTO switches (function, time, revision, rollback) VALUES (?, ?, ?, ?)");
  insert.bind(1, id);
  insert.bind(2, Now());
  insert.bind(3, number.value);
  insert.bind(4, rollback ? 1 : 0);
  insert.exec();
}

void Registry::Impl::Prune(int64_t id) {
  SQLite::Statement revisions(
      db,
      "DELETE FROM revisions WHERE function = ?1 AND number NOT IN (SELECT number FROM revisions "
      "WHERE function = ?1 ORDER BY number DESC LIMIT ?2) AND number != (SELECT current FROM "
      "functions WHERE id = ?1)");
  revisions.bind(1, id);
  revisions.bind(2, kKeptRevisions);
  revisions.exec();
  SQLite::Statement switches(db,
                             "DELETE FROM switches WHERE function = ?1 AND id NOT IN (SELECT id "
                             "FROM switches WHERE function = ?1 ORDER BY id DESC LIMIT 100)");
  switches.bind(1, id);
  switches.exec();
}

void Registry::Impl::Commit(SQLite::Transaction& transaction) {
  SealRegistry(db);
  transaction.commit();
  Copy();
}

void Registry::Impl::Copy() {
  const Result<> copied = WriteRegistryCopy(db, path);
  if (!copied) spdlog::warn("the registry's copy is out of date: {}", copied.error().message);
}

Result<Registry::Deployment> Registry::Deploy(const RevisionContent& content,
                                              const std::vector<std::string>& hosts) {
  return impl_->Guard([&]() -> Result<Deployment> {
    SQLite::Database& db = impl_->db;
    std::optional<Revision> current =
        impl_->Select("r.number = f.current", content.function, RevisionId{});
    if (current && current->content == content) return Deployment{std::move(*current), false};

    SQLite::Transaction transaction(db);
    SQLite::Statement function(db,
                               "INSERT INTO functions (name, last_number) VALUES (?, 1) ON "
                               "CONFLICT (name) DO UPDATE SET last_number = last_number + 1 "
                               "RETURNING id, last_number");
    function.bind(1, content.function.value);
    function.executeStep();
    const int64_t id = function.getColumn(0).getInt64();
    const RevisionId number{function.getColumn(1).getInt64()};
    function.reset();
    TRY(impl_->ClaimHosts(id, hosts));
    const int64_t created = Now();
    SQLite::Statement insert(db,
                             "INSERT INTO revisions (function, number, module, image, manifest, "
                             "created) VALUES (?, ?, ?, ?, ?, ?)");
    insert.bind(1, id);
    insert.bind(2, number.value);
    insert.bind(3, content.module.value);
    insert.bind(4, content.image.value);
    insert.bind(5, content.manifest);
    insert.bind(6, created);
    insert.exec();
    impl_->AppendSwitch(id, number, false);
    impl_->Prune(id);
    impl_->Commit(transaction);
    std::optional<Revision> added = impl_->Select("r.number = ?2", content.function, number);
    return Deployment{std::move(*added), true};
  });
}

Result<> Registry::SwitchTo(const FunctionName& function, RevisionId number,
                            const std::vector<std::string>& hosts) {
  return impl_->Guard([&]() -> Result<> {
    const std::optional<int64_t> id = impl_->IdOf(function);
    if (!id) return NoFunction(function);
    if (!impl_->Select("r.number = ?2", function, number)) return NoRevision(function, number);
    SQLite::Transaction transaction(impl_->db);
    TRY(impl_->ClaimHosts(*id, hosts));
    impl_->AppendSwitch(*id, number, true);
    impl_->Commit(transaction);
    return {};
  });
}

Result<> Registry::Remove(const FunctionName& function) {
  return impl_->Guard([&]() -> Result<> {
    const std::optional<int64_t> id = impl_->IdOf(function);
    if (!id) return NoFunction(function);
    SQLite::Transaction transaction(impl_->db);
    for (const char* sql :
         {"DELETE FROM hosts WHERE function = ?", "DELETE FROM switches WHERE function = ?",
          "DELETE FROM revisions WHERE function = ?",
          "UPDATE functions SET current = NULL WHERE id = ?"}) {
      SQLite::Statement statement(impl_->db, sql);
      statement.bind(1, *id);
      statement.exec();
    }
    impl_->Commit(transaction);
    return {};
  });
}

Result<Revision> Registry::Current(const FunctionName& function) {
  return impl_->Guard([&]() -> Result<Revision> {
    std::optional<Revision> revision =
        impl_->Select("r.number = f.current", function, RevisionId{});
    if (!revision) return NoFunction(function);
    return std::move(*revision);
  });
}

Result<Revision> Registry::Find(const FunctionName& function, RevisionId number) {
  return impl_->Guard([&]() -> Result<Revision> {
    if (!impl_->IdOf(function)) return NoFunction(function);
    std::optional<Revision> revision = impl_->Select("r.number = ?2", function, number);
    if (!revision) return NoRevision(function, number);
    return std::move(*revision);
  });
}

Result<std::vector<Revision>> Registry::Revisions(const FunctionName& function) {
  return impl_->Guard([&]() -> Result<std::vector<Revision>> {
    const std::optional<int64_t> id = impl_->IdOf(function);
    if (!id) return NoFunction(function);
    SQLite::Statement query(impl_->db, std::string("SELECT ") + kRevisionColumns + kRevisionTables +
                                           "WHERE f.id = ? ORDER BY r.number");
    query.bind(1, *id);
    std::vector<Revision> revisions;
    while (query.executeStep()) revisions.push_back(RevisionOf(query));
    return revisions;
  });
}

Result<std::vector<Switch>> Registry::History(const FunctionName& function) {
  return impl_->Guard([&]() -> Result<std::vector<Switch>> {
    const std::optional<int64_t> id = impl_->IdOf(function);
    if (!id) return NoFunction(function);
    SQLite::Statement query(impl_->db,
                            "SELECT time, revision, rollback FROM switches WHERE function = ? "
                            "ORDER BY id");
    query.bind(1, *id);
    std::vector<Switch> history;
    while (query.executeStep()) {
      history.push_back({TimeOf(query.getColumn(0).getInt64()),
                         RevisionId{query.getColumn(1).getInt64()},
                         query.getColumn(2).getInt() != 0});
    }
    return history;
  });
}

Result<std::vector<Revision>> Registry::AllCurrent() {
  return impl_->Guard([&]() -> Result<std::vector<Revision>> {
    SQLite::Statement query(impl_->db, std::string("SELECT ") + kRevisionColumns + kRevisionTables +
                                           "WHERE r.number = f.current ORDER BY f.name");
    std::vector<Revision> revisions;
    while (query.executeStep()) revisions.push_back(RevisionOf(query));
    return revisions;
  });
}

Result<std::set<Digest>> Registry::ReferencedBlobs() {
  return impl_->Guard([&]() -> Result<std::set<Digest>> {
    SQLite::Statement query(impl_->db,
                            "SELECT module FROM revisions WHERE module != '' UNION "
                            "SELECT image FROM revisions WHERE image != ''");
    std::set<Digest> digests;
    while (query.executeStep()) digests.insert(Digest{query.getColumn(0).getString()});
    return digests;
  });
}

Result<> Registry::RecordImage(const Digest& image, const std::string& config) {
  return impl_->Guard([&]() -> Result<> {
    SQLite::Transaction transaction(impl_->db);
    SQLite::Statement insert(impl_->db,
                             "INSERT INTO images (image, config) VALUES (?1, ?2) ON CONFLICT "
                             "(image) DO UPDATE SET config = ?2 WHERE ?2 NOT IN ('', config)");
    insert.bind(1, image.value);
    insert.bind(2, config);
    insert.exec();
    SealRegistry(impl_->db);
    transaction.commit();
    return {};
  });
}

Result<std::vector<Digest>> Registry::UnreferencedImages() {
  return impl_->Guard([&]() -> Result<std::vector<Digest>> {
    SQLite::Statement query(impl_->db,
                            "SELECT image FROM images WHERE image NOT IN (SELECT image FROM "
                            "revisions) ORDER BY image");
    std::vector<Digest> images;
    while (query.executeStep()) images.push_back(Digest{query.getColumn(0).getString()});
    return images;
  });
}

Result<> Registry::ForgetImage(const Digest& image) {
  return impl_->Guard([&]() -> Result<> {
    SQLite::Transaction transaction(impl_->db);
    SQLite::Statement remove(impl_->db, "DELETE FROM images WHERE image = ?");
    remove.bind(1, image.value);
    remove.exec();
    SealRegistry(impl_->db);
    transaction.commit();
    return {};
  });
}

}  // namespace hybridserve

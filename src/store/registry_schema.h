// The registry's tables and how an older database becomes a current one.
//
// Thread rule: pure data.
#pragma once

#include <array>
#include <cstdint>

namespace hybridserve {

/// Marks the file as ours (PRAGMA application_id): "HySr".
inline constexpr int32_t kRegistryApplicationId = 0x48795372;

/// Step i takes a database of version i to version i + 1 (PRAGMA user_version). A step that was
/// released is never changed; a new one is added.
inline constexpr std::array kRegistryMigrations = {
    R"sql(
CREATE TABLE functions (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  current INTEGER,           -- NULL: removed; the row stays, so that numbers go on.
  last_number INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE revisions (
  function INTEGER NOT NULL REFERENCES functions (id),
  number INTEGER NOT NULL,
  module TEXT NOT NULL,      -- SHA-256, or '' for none.
  image TEXT NOT NULL,
  manifest TEXT NOT NULL,
  created INTEGER NOT NULL,  -- Milliseconds since 1970.
  PRIMARY KEY (function, number)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER revisions_never_change BEFORE UPDATE ON revisions
BEGIN
  SELECT RAISE(ABORT, 'a revision never changes');
END;
CREATE TABLE switches (
  id INTEGER PRIMARY KEY,
  function INTEGER NOT NULL REFERENCES functions (id),
  time INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  rollback INTEGER NOT NULL
) STRICT;
CREATE INDEX switches_by_function ON switches (function);
CREATE TABLE images (        -- Unpacked, or being unpacked, on this node.
  image TEXT PRIMARY KEY,
  config TEXT NOT NULL       -- Its run configuration as JSON; '' until it is unpacked.
) STRICT, WITHOUT ROWID;
CREATE TABLE hosts (         -- Of current revisions only.
  host TEXT PRIMARY KEY,
  function INTEGER NOT NULL REFERENCES functions (id)
) STRICT, WITHOUT ROWID;
)sql",
    R"sql(
CREATE TABLE seal (          -- One row, written by each change (registry_file.h).
  id INTEGER PRIMARY KEY CHECK (id = 1),
  generation INTEGER NOT NULL,
  content TEXT NOT NULL      -- SHA-256 over the generation and every other row.
) STRICT;
INSERT INTO seal (id, generation, content) VALUES (1, 0, '');
)sql",
};

/// From this version on a registry has its seal.
inline constexpr int kFirstSealedVersion = 2;

}  // namespace hybridserve

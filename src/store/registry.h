// Registry: which functions are deployed, in which revisions, and which revision is current.
//
// One SQLite database. A revision never changes; deploying adds one and moves the function's
// pointer in one transaction, rolling back only moves the pointer. Numbers rise per function and
// are never used again, not even after the function was removed: a container that outlived a
// restart cannot pass for one of another revision.
//
// Durable: write-ahead log with synchronous=FULL, so what a call has acknowledged survives kill -9
// and a loss of power, and is in a copy beside the database (registry_file.h). The database is held
// exclusively: a second node on the same state folder is told so (kConflict).
//
// Thread rule: one thread at a time. Everything here waits for the disk: keep it off the event
// loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace hybridserve {

/// What a deploy says; the rest of a revision is the registry's.
struct RevisionContent {
  FunctionName function;
  Digest module;         ///< Empty: no Wasm build.
  Digest image;          ///< Empty: no container.
  std::string manifest;  ///< As JSON, with every default filled in.
  bool operator==(const RevisionContent&) const = default;
};

struct Revision {
  RevisionId number;
  RevisionContent content;
  std::chrono::system_clock::time_point created;
  /// Run configuration of `content.image`; empty: none, or it is not unpacked on this node.
  std::string image_config;
};

/// One move of a function's pointer.
struct Switch {
  std::chrono::system_clock::time_point time;
  RevisionId revision;
  bool rollback = false;  ///< Else a deploy.
};

class Registry {
 public:
  /// Revisions kept per function; the oldest that are not current are forgotten by Deploy.
  static constexpr int kKeptRevisions = 10;

  /// Creates the database where it lacks. Errors: kConflict another process has it locked, for 2 s
  /// at least; kCorrupt it is damaged, lacks what its copy has, or is not a registry; kUnsupported
  /// a newer version wrote it.
  static Result<std::unique_ptr<Registry>> Open(const std::filesystem::path& path);
  ~Registry();

  struct Deployment {
    Revision revision;
    bool changed =
        false;  ///< False: the current revision has this very content; nothing was added.
  };
  /// Adds a revision and makes it current. `hosts` are the host names it claims.
  /// Errors: kConflict a host belongs to another function.
  Result<Deployment> Deploy(const RevisionContent& content, const std::vector<std::string>& hosts);

  /// Makes an existing revision current. Errors: kNotFound no such function or revision; kConflict
  /// as Deploy.
  Result<> SwitchTo(const FunctionName& function, RevisionId number,
                    const std::vector<std::string>& hosts);

  /// Forgets the function and its revisions. Errors: kNotFound.
  Result<> Remove(const FunctionName& function);

  /// Errors of all that name a function: kNotFound.
  Result<Revision> Current(const FunctionName& function);
  Result<Revision> Find(const FunctionName& function, RevisionId number);
  /// Oldest first.
  Result<std::vector<Revision>> Revisions(const FunctionName& function);
  /// The last moves of the pointer, oldest first, at most 100.
  Result<std::vector<Switch>> History(const FunctionName& function);
  /// The current revision of every function, by name.
  Result<std::vector<Revision>> AllCurrent();

  /// Modules and images that some revision refers to.
  Result<std::set<Digest>> ReferencedBlobs();

  /// Notes that `image` is unpacked on this node, with its run configuration as JSON; an empty one
  /// says that unpacking begins and overwrites nothing.
  Result<> RecordImage(const Digest& image, const std::string& config);
  /// Images on this node that no revision refers to.
  Result<std::vector<Digest>> UnreferencedImages();
  /// The image is gone from this node.
  Result<> ForgetImage(const Digest& image);

 private:
  struct Impl;
  explicit Registry(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hybridserve

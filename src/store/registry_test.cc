#include "store/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/digest.h"
#include "base/file.h"

namespace hybridserve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RegistryTest : public testing::Test {
 protected:
  std::filesystem::path Path() const { return folder_.path() / "registry.db"; }

  std::unique_ptr<Registry> Open() {
    Result<std::unique_ptr<Registry>> registry = Registry::Open(Path());
    EXPECT_TRUE(registry) << registry.error().message;
    return registry ? std::move(*registry) : nullptr;
  }

  /// Runs SQL on the closed database, as somebody's tool would.
  void Sql(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(Path().c_str(), &db), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
    sqlite3_close(db);
  }

  static RevisionContent Content(const std::string& function, const std::string& text) {
    RevisionContent content;
    content.function.value = function;
    content.module = Sha256("module " + text);
    content.image = Sha256("image " + text);
    content.manifest = "{\"text\":\"" + text + "\"}";
    return content;
  }

  static int64_t Deploy(Registry& registry, const std::string& function, const std::string& text,
                        const std::vector<std::string>& hosts = {}) {
    const auto deployment = registry.Deploy(Content(function, text), hosts);
    EXPECT_TRUE(deployment) << deployment.error().message;
    return deployment ? deployment->revision.number.value : -1;
  }

  static int64_t CurrentNumber(Registry& registry, const std::string& function) {
    const Result<Revision> current = registry.Current(FunctionName{function});
    return current ? current->number.value : -1;
  }

  TemporaryFolder folder_;
};

TEST_F(RegistryTest, DeployingCountsRevisionsPerFunction) {
  const auto registry = Open();
  EXPECT_EQ(Deploy(*registry, "a", "one"), 1);
  EXPECT_EQ(Deploy(*registry, "a", "two"), 2);
  EXPECT_EQ(Deploy(*registry, "b", "one"), 1);
  const Result<Revision> current = registry->Current(FunctionName{"a"});
  ASSERT_TRUE(current);
  EXPECT_EQ(current->number.value, 2);
  EXPECT_EQ(current->content, Content("a", "two"));
  EXPECT_LT(std::chrono::system_clock::now() - current->created, std::chrono::minutes(1));
}

TEST_F(RegistryTest, DeployingTheSameContentChangesNothing) {
  const auto registry = Open();
  Deploy(*registry, "a", "one");
  const auto again = registry->Deploy(Content("a", "one"), {});
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(again->revision.number.value, 1);
  EXPECT_EQ(registry->Revisions(FunctionName{"a"})->size(), 1u);
  EXPECT_EQ(registry->History(FunctionName{"a"})->size(), 1u);
}

TEST_F(RegistryTest, RollingBackMovesThePointerAndIsWrittenDown) {
  const auto registry = Open();
  Deploy(*registry, "a", "one");
  Deploy(*registry, "a", "two");
  ASSERT_TRUE(registry->SwitchTo(FunctionName{"a"}, RevisionId{1}, {}));
  EXPECT_EQ(CurrentNumber(*registry, "a"), 1);
  const Result<std::vector<Switch>> history = registry->History(FunctionName{"a"});
  ASSERT_TRUE(history);
  ASSERT_EQ(history->size(), 3u);
  EXPECT_EQ((*history)[2].revision.value, 1);
  EXPECT_TRUE((*history)[2].rollback);
  EXPECT_EQ(Deploy(*registry, "a", "two"), 3) << "content of an older revision is a new one";
}

TEST_F(RegistryTest, UnknownFunctionsAndRevisionsAreNamed) {
  const auto registry = Open();
  Deploy(*registry, "a", "one");
  const Result<> revision = registry->SwitchTo(FunctionName{"a"}, RevisionId{7}, {});
  EXPECT_EQ(revision.error().code, Code::kNotFound);
  EXPECT_THAT(revision.error().message, HasSubstr("function 'a' has no revision 7"));
  const FunctionName missing{"missing"};
  EXPECT_EQ(registry->Remove(missing).error().code, Code::kNotFound);
  EXPECT_EQ(registry->Current(missing).error().code, Code::kNotFound);
  EXPECT_EQ(registry->Revisions(missing).error().code, Code::kNotFound);
  EXPECT_EQ(registry->History(missing).error().code, Code::kNotFound);
  EXPECT_EQ(registry->SwitchTo(missing, RevisionId{1}, {}).error().code, Code::kNotFound);
  EXPECT_THAT(registry->Find(missing, RevisionId{1}).error().message, HasSubstr("'missing'"));
}

TEST_F(RegistryTest, ARemovedFunctionsNumbersAreNotUsedAgain) {
  const auto registry = Open();
  Deploy(*registry, "a", "one");
  Deploy(*registry, "a", "two");
  ASSERT_TRUE(registry->Remove(FunctionName{"a"}));
  EXPECT_FALSE(registry->Current(FunctionName{"a"}));
  EXPECT_TRUE(registry->AllCurrent()->empty());
  EXPECT_TRUE(registry->ReferencedBlobs()->empty());
  EXPECT_EQ(Deploy(*registry, "a", "one"), 3);
}

TEST_F(RegistryTest, AHostBelongsToOneFunction) {
  const auto registry = Open();
  Deploy(*registry, "a", "one", {"x.example", "y.example"});
  const auto taken = registry->Deploy(Content("b", "one"), {"z.example", "x.example"});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::kConflict);
  EXPECT_THAT(taken.error().message, HasSubstr("'x.example' belongs to function 'a'"));
  EXPECT_FALSE(registry->Current(FunctionName{"b"})) << "a refused deploy leaves nothing";
  Deploy(*registry, "a", "two", {"y.example"});
  EXPECT_GT(Deploy(*registry, "b", "one", {"x.example"}), 0);
  EXPECT_EQ(registry->SwitchTo(FunctionName{"a"}, RevisionId{1}, {"x.example"}).error().code,
            Code::kConflict);
  EXPECT_EQ(CurrentNumber(*registry, "a"), 2) << "a refused rollback leaves the pointer";
  ASSERT_TRUE(registry->Remove(FunctionName{"b"}));
  EXPECT_TRUE(registry->SwitchTo(FunctionName{"a"}, RevisionId{1}, {"x.example"}));
}

TEST_F(RegistryTest, OldRevisionsAreForgottenButNeverTheCurrentOne) {
  const auto registry = Open();
  Deploy(*registry, "a", "0");
  Deploy(*registry, "a", "1");
  ASSERT_TRUE(registry->SwitchTo(FunctionName{"a"}, RevisionId{1}, {}));
  for (int i = 2; i < 20; ++i) Deploy(*registry, "a", std::to_string(i));
  const auto revisions = registry->Revisions(FunctionName{"a"}).value();
  ASSERT_EQ(revisions.size(), static_cast<size_t>(Registry::kKeptRevisions));
  EXPECT_EQ(revisions.back().number.value, 20);
  EXPECT_EQ(registry->ReferencedBlobs()->size(), 2 * revisions.size());
}

TEST_F(RegistryTest, AnImagesConfigurationComesWithItsRevisions) {
  const auto registry = Open();
  const Digest image = Content("a", "one").image;
  ASSERT_TRUE(registry->RecordImage(image, ""));
  EXPECT_EQ(registry->UnreferencedImages().value(), std::vector<Digest>{image});
  ASSERT_TRUE(registry->RecordImage(image, "{\"cmd\":[]}"));
  ASSERT_TRUE(registry->RecordImage(image, "")) << "unpacking it again overwrites nothing";
  const auto deployment = registry->Deploy(Content("a", "one"), {});
  ASSERT_TRUE(deployment);
  EXPECT_EQ(deployment->revision.image_config, "{\"cmd\":[]}");
  EXPECT_TRUE(registry->UnreferencedImages()->empty());
  EXPECT_EQ(registry->AllCurrent()->at(0).image_config, "{\"cmd\":[]}");

  ASSERT_TRUE(registry->Remove(FunctionName{"a"}));
  EXPECT_EQ(registry->UnreferencedImages().value(), std::vector<Digest>{image});
  ASSERT_TRUE(registry->ForgetImage(image));
  EXPECT_TRUE(registry->UnreferencedImages()->empty());
  Deploy(*registry, "a", "one");
  EXPECT_EQ(registry->Current(FunctionName{"a"})->image_config, "");
}

TEST_F(RegistryTest, EverythingIsThereAfterARestart) {
  {
    const auto registry = Open();
    Deploy(*registry, "b", "one", {"b.example"});
    Deploy(*registry, "a", "one");
    Deploy(*registry, "a", "two");
    ASSERT_TRUE(registry->SwitchTo(FunctionName{"a"}, RevisionId{1}, {}));
  }
  const auto registry = Open();
  const auto all = registry->AllCurrent().value();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].content, Content("a", "one"));
  EXPECT_EQ(all[1].content, Content("b", "one"));
  EXPECT_EQ(registry->History(FunctionName{"a"})->size(), 3u);
  EXPECT_FALSE(registry->Deploy(Content("c", "one"), {"b.example"}));
}

TEST_F(RegistryTest, WhatWasAcknowledgedSurvivesAKill) {
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto registry = Open();
    for (int i = 0;; ++i) {
      const std::string name = "f" + std::to_string(i);
      if (!registry || !registry->Deploy(Content(name, "x"), {})) ::_exit(1);
      if (::write(pipe_fds[1], &i, sizeof(i)) != sizeof(i)) ::_exit(1);
    }
  }
  ::close(pipe_fds[1]);
  int last = -1;
  while (last < 50) ASSERT_EQ(::read(pipe_fds[0], &last, sizeof(last)), ssize_t{sizeof(last)});
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  int acknowledged = last;
  while (::read(pipe_fds[0], &last, sizeof(last)) == ssize_t{sizeof(last)}) acknowledged = last;
  ::close(pipe_fds[0]);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const auto registry = Open();
  ASSERT_TRUE(registry);
  for (int i = 0; i <= acknowledged; ++i) {
    EXPECT_EQ(CurrentNumber(*registry, "f" + std::to_string(i)), 1) << i;
  }
}

TEST_F(RegistryTest, ASecondProcessOnTheSameStateIsRefused) {
  const auto registry = Open();
  const pid_t child = ::fork();
  if (child == 0) {
    const auto second = Registry::Open(Path());
    const bool refused = !second && second.error().code == Code::kConflict &&
                         second.error().message.find("another node") != std::string::npos;
    ::_exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  Deploy(*registry, "a", "one");
}

TEST_F(RegistryTest, ASecondOpenInTheSameProcessIsRefused) {
  const auto registry = Open();
  const auto second = Registry::Open(Path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  EXPECT_THAT(second.error().message, HasSubstr(Path().string()));
}

TEST_F(RegistryTest, AFileThatIsNoDatabaseIsRefusedAndLeftAlone) {
  std::ofstream(Path()) << std::string(8192, 'x');
  const auto registry = Registry::Open(Path());
  ASSERT_FALSE(registry);
  EXPECT_EQ(registry.error().code, Code::kCorrupt);
  EXPECT_THAT(registry.error().message, HasSubstr("registry restore"));
  EXPECT_EQ(ReadFile(Path()).value(), std::string(8192, 'x'));
}

TEST_F(RegistryTest, ADatabaseOfAnotherProgramIsRefused) {
  Sql("CREATE TABLE t (x)");
  const auto registry = Registry::Open(Path());
  ASSERT_FALSE(registry);
  EXPECT_EQ(registry.error().code, Code::kCorrupt);
  EXPECT_THAT(registry.error().message, HasSubstr("some other program"));
}

TEST_F(RegistryTest, ADatabaseOfANewerVersionIsRefused) {
  Open().reset();
  Sql("PRAGMA user_version = 1000");
  const auto registry = Registry::Open(Path());
  ASSERT_FALSE(registry);
  EXPECT_EQ(registry.error().code, Code::kUnsupported);
  EXPECT_THAT(registry.error().message, HasSubstr("newer version"));
}

TEST_F(RegistryTest, ADamagedDatabaseIsRefused) {
  {
    const auto registry = Open();
    for (int i = 0; i < 200; ++i) Deploy(*registry, "f" + std::to_string(i), "x");
  }
  const auto size = std::filesystem::file_size(Path());
  ASSERT_GT(size, 8u * 4096);
  std::fstream file(Path(), std::ios::in | std::ios::out | std::ios::binary);
  for (std::streamoff at = 4096; at + 4096 <= static_cast<std::streamoff>(size); at += 8192) {
    file.seekp(at);
    file << std::string(4096, '\x5a');
  }
  file.close();
  const auto registry = Registry::Open(Path());
  ASSERT_FALSE(registry);
  EXPECT_EQ(registry.error().code, Code::kCorrupt);
  EXPECT_THAT(registry.error().message, HasSubstr("damaged"));
}

TEST_F(RegistryTest, ARevisionCannotBeChangedByHand) {
  {
    const auto registry = Open();
    Deploy(*registry, "a", "one");
  }
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(Path().c_str(), &db), SQLITE_OK);
  EXPECT_NE(sqlite3_exec(db, "UPDATE revisions SET module = ''", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
}

TEST_F(RegistryTest, OthersCannotReadTheDatabase) {
  const auto registry = Open();
  Deploy(*registry, "a", "one");
  for (const std::string name : {"registry.db", "registry.db-wal"}) {
    struct stat status {};
    ASSERT_EQ(::stat((folder_.path() / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0077, 0u) << name;
  }
}

}  // namespace
}  // namespace hybridserve

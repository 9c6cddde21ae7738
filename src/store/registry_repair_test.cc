#include "store/registry_repair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "base/digest.h"
#include "base/file.h"
#include "store/blob_store.h"
#include "store/registry.h"
#include "store/registry_file.h"

namespace hybridserve {
namespace {

using testing::HasSubstr;

class RegistryRepairTest : public testing::Test {
 protected:
  std::filesystem::path Path() const { return folder_.path() / "registry.db"; }
  std::filesystem::path Copy() const { return folder_.path() / "registry.db.bak"; }

  static void Deploy(Registry& registry, const std::string& function, const std::string& text) {
    RevisionContent content;
    content.function.value = function;
    content.module = Sha256("module " + text);
    content.manifest = "{\"text\":\"" + text + "\"}";
    EXPECT_TRUE(registry.Deploy(content, {}));
  }

  /// Runs `work` on the registry in a process that ends by SIGKILL: the log stays.
  template <typename Work>
  void InKilledProcess(const Work& work) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto registry = Registry::Open(Path());
      if (!registry) ::_exit(1);
      work(**registry);
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
  }

  void MakeRegistry() const {
    const auto registry = Registry::Open(Path());
    ASSERT_TRUE(registry);
    for (int i = 0; i < 8; ++i) Deploy(**registry, "f" + std::to_string(i), "x");
    Deploy(**registry, "f3", "second");
  }

  static std::string Contents(Registry& registry) {
    std::string all;
    const std::vector<Revision> current = registry.AllCurrent().value();
    for (const Revision& revision : current) {
      all += revision.content.function.value + "@" + std::to_string(revision.number.value) + " " +
             revision.content.module.value + " " + revision.content.manifest + "\n";
    }
    return all;
  }

  std::string Refusal() const {
    const auto registry = Registry::Open(Path());
    if (registry) return "it was opened";
    EXPECT_EQ(registry.error().code, Code::kCorrupt) << registry.error().message;
    return registry.error().message;
  }

  void ExpectRestored(const std::string& contents) const {
    const Result<RestoredRegistry> restored = RestoreRegistry(folder_.path(), std::nullopt);
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_TRUE(restored->changed);
    const auto registry = Registry::Open(Path());
    ASSERT_TRUE(registry) << registry.error().message;
    EXPECT_EQ(Contents(**registry), contents);
  }

  std::string ContentsNow() const { return Contents(**Registry::Open(Path())); }

  TemporaryFolder folder_;
};

TEST_F(RegistryRepairTest, HalfWrittenCopiesOfADeadProcessAreRemoved) {
  MakeRegistry();
  const std::vector<std::string> drafts = {"registry.db.bak.Ab12Cd",
                                           "registry.db.bak.Ab12Cd-journal"};
  for (const std::string& name : drafts) {
    ASSERT_TRUE(WriteFileAtomically(folder_.path() / name, "half"));
  }
  ASSERT_TRUE(Registry::Open(Path()));
  for (const std::string& name : drafts) {
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / name)) << name;
  }
  EXPECT_TRUE(std::filesystem::exists(Copy()));
}

TEST_F(RegistryRepairTest, AWholeRegistryIsLeftAlone) {
  MakeRegistry();
  const Result<RegistryReport> report = CheckRegistryFolder(folder_.path());
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->registry_ok()) << report->registry.problem;
  EXPECT_TRUE(report->copy.sound()) << report->copy.problem;
  EXPECT_EQ(report->registry.functions.size(), 8u);
  EXPECT_EQ(report->copy.functions, report->registry.functions);
  const std::string before = ReadFile(Path()).value();
  const Result<RestoredRegistry> restored = RestoreRegistry(folder_.path(), std::nullopt);
  ASSERT_TRUE(restored);
  EXPECT_FALSE(restored->changed);
  EXPECT_EQ(ReadFile(Path()).value(), before);
}

TEST_F(RegistryRepairTest, AnEmptyFileWithoutACopyIsARegistryInTheMaking) {
  std::ofstream(Path(), std::ios::binary).close();
  const Result<RegistryReport> report = CheckRegistryFolder(folder_.path());
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->registry_ok()) << report->registry.problem;
  EXPECT_TRUE(Registry::Open(Path()));
}

TEST_F(RegistryRepairTest, ARefusalNamesTheCommandAndTheCopyHasEverything) {
  MakeRegistry();
  const std::string contents = ContentsNow();
  std::ofstream(Path(), std::ios::in | std::ios::out) << "no database at all";
  EXPECT_THAT(Refusal(), HasSubstr("hybridserve registry restore --state-folder " +
                                   folder_.path().parent_path().string()));
  ExpectRestored(contents);
}

TEST_F(RegistryRepairTest, NoFlippedByteGoesUnnoticed) {
  MakeRegistry();
  const std::string contents = ContentsNow();
  const std::string whole = ReadFile(Path()).value();
  std::mt19937 random(4);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string damaged = whole;
    const size_t at = i < 100 ? static_cast<size_t>(i) : random() % whole.size();
    damaged[at] = static_cast<char>(damaged[at] ^ static_cast<char>(1u << random() % 8));
    std::ofstream(Path(), std::ios::binary | std::ios::trunc) << damaged;
    const auto registry = Registry::Open(Path());
    if (registry) {
      EXPECT_EQ(Contents(**registry), contents) << "byte " << at;
    } else {
      // The version's own bytes cannot be told from those of a newer one.
      const Code wanted = at >= 60 && at < 64 ? registry.error().code : Code::kCorrupt;
      EXPECT_EQ(registry.error().code, wanted) << at << ": " << registry.error().message;
      EXPECT_THAT(registry.error().message, HasSubstr("registry restore")) << at;
      ++refused;
    }
  }
  EXPECT_GT(refused, 20);
}

TEST_F(RegistryRepairTest, ATruncatedOrMissingRegistryIsNotTakenForAnEmptyOne) {
  MakeRegistry();
  const std::string contents = ContentsNow();
  for (const size_t bytes : {size_t{0}, size_t{100}, size_t{4096}, size_t{10'000}}) {
    std::filesystem::resize_file(Path(), bytes);
    EXPECT_THAT(Refusal(), HasSubstr("registry restore")) << bytes;
    ExpectRestored(contents);
  }
  std::filesystem::remove(Path());
  EXPECT_THAT(Refusal(), HasSubstr("lacks changes"));
  ExpectRestored(contents);
}

TEST_F(RegistryRepairTest, ALogThatLostItsTailIsNoticed) {
  InKilledProcess([](Registry& registry) {
    Deploy(registry, "a", "one");
    Deploy(registry, "b", "one");
  });
  const std::string log = Path().string() + "-wal";
  const auto size = std::filesystem::file_size(log);
  ASSERT_GT(size, 8192u);
  std::fstream(log, std::ios::in | std::ios::out).seekp(static_cast<std::streamoff>(size - 3000))
      << "garbage";
  EXPECT_THAT(Refusal(), HasSubstr("lacks changes"));
  const Result<RestoredRegistry> restored = RestoreRegistry(folder_.path(), std::nullopt);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(restored->functions.size(), 2u);
  EXPECT_TRUE(restored->lost.empty());
  EXPECT_EQ((*Registry::Open(Path()))->AllCurrent()->size(), 2u);
}

TEST_F(RegistryRepairTest, ACopyThatIsDamagedIsWrittenAnew) {
  MakeRegistry();
  std::ofstream(Copy(), std::ios::binary | std::ios::trunc) << "garbage";
  ASSERT_TRUE(Registry::Open(Path()));
  EXPECT_TRUE(CheckRegistryCopy(Copy()));
}

TEST_F(RegistryRepairTest, WithoutAWholeCopyNothingIsTouched) {
  MakeRegistry();
  for (const auto& path : {Path(), Copy()}) std::ofstream(path, std::ios::trunc) << "garbage";
  const Result<RestoredRegistry> restored = RestoreRegistry(folder_.path(), std::nullopt);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, Code::kCorrupt);
  EXPECT_THAT(restored.error().message, HasSubstr("nothing to restore from"));
  EXPECT_EQ(ReadFile(Path()).value(), "garbage");
}

TEST_F(RegistryRepairTest, AnOlderCopyOfOnesOwnCanBePutBack) {
  MakeRegistry();
  const std::string contents = ContentsNow();
  const std::filesystem::path own = folder_.path() / "own";
  std::filesystem::copy_file(Copy(), own);
  Deploy(**Registry::Open(Path()), "later", "x");
  const Result<RestoredRegistry> restored = RestoreRegistry(folder_.path(), own);
  ASSERT_TRUE(restored) << restored.error().message;
  ASSERT_EQ(restored->lost.size(), 1u);
  EXPECT_EQ(restored->lost[0].name, "later");
  EXPECT_EQ(ContentsNow(), contents);
  EXPECT_TRUE(std::filesystem::exists(restored->aside / "registry.db"));
}

TEST_F(RegistryRepairTest, MissingAndCorruptBlobsAreNamed) {
  const BlobStore blobs = BlobStore::Open(folder_.path() / "blobs").value();
  const Digest there = blobs.Put("whole").value();
  {
    const auto registry = Registry::Open(Path());
    RevisionContent content;
    content.function.value = "a";
    content.module = there;
    ASSERT_TRUE((*registry)->Deploy(content, {}));
    content.function.value = "b";
    content.module = Sha256("missing");
    ASSERT_TRUE((*registry)->Deploy(content, {}));
  }
  const Result<RegistryReport> report = CheckRegistryFolder(folder_.path());
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->registry_ok());
  ASSERT_EQ(report->blob_problems.size(), 1u);
  EXPECT_THAT(report->blob_problems[0], HasSubstr("function 'b', revision 1"));
}

}  // namespace
}  // namespace hybridserve

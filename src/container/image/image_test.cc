#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/digest.h"
#include "base/file.h"
#include "container/image/image_config.h"
#include "container/image/json.h"
#include "container/image/packer.h"
#include "container/image/root_folder.h"
#include "container/image/test_archives.h"
#include "container/image/unpack.h"
#include "container/image/users.h"

namespace hybridserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

// Sanitizers use system calls of their own, which the unpacker's filter refuses.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr char kLockdownFlag[] = " --no-lockdown";
#else
constexpr char kLockdownFlag[] = "";
#endif

std::string Content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct stat StatusOf(const fs::path& path) {
  struct stat status {};
  EXPECT_EQ(lstat(path.c_str(), &status), 0) << path;
  return status;
}

/// Unpacks into a folder of its own; needs root, who may give files away.
class UnpackTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "giving files away needs root";
    fs::create_directory(root());
    fs::create_directory(work_.path() / "outside");
    std::ofstream(work_.path() / "outside" / "secret") << "untouched";
  }

  [[nodiscard]] fs::path root() const { return work_.path() / "root"; }
  [[nodiscard]] fs::path outside() const { return work_.path() / "outside"; }

  Result<ImageConfig> UnpackFile(const fs::path& archive, const UnpackLimits& limits = {}) {
    const UniqueFd archive_fd(open(archive.c_str(), O_RDONLY | O_CLOEXEC));
    const UniqueFd folder_fd(open(root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return UnpackImage(archive_fd.get(), folder_fd.get(), limits);
  }
  Result<ImageConfig> UnpackBytes(const std::string& archive) {
    EXPECT_TRUE(WriteFileAtomically(work_.path() / "archive.tar", archive));
    return UnpackFile(work_.path() / "archive.tar");
  }
  Result<ImageConfig> UnpackLayers(const std::vector<std::string>& layers, ImagePlan plan = {},
                                   const UnpackLimits& limits = {}) {
    return UnpackFile(TestImage(work_.path(), layers, std::move(plan)), limits);
  }
  std::string ErrorOf(const std::vector<std::string>& layers, const UnpackLimits& limits = {}) {
    auto config = UnpackLayers(layers, {}, limits);
    EXPECT_FALSE(config);
    EXPECT_EQ(Content(outside() / "secret"), "untouched");
    return config ? "" : config.error().message;
  }

  TemporaryFolder work_;
};

TEST_F(UnpackTest, MakesFilesFoldersAndLinksWithTheirOwnersAndModes) {
  const auto config = UnpackLayers({TestTar()
                                        .Folder("./bin", 0755)
                                        .File("bin/tool", "#!", 0755, 12, 34)
                                        .Symlink("bin/sh", "/bin/tool")
                                        .HardLink("bin/same", "bin/tool")
                                        .Folder("tmp", 01777)
                                        .File("deep/er/file", "x", 0600)
                                        .Bytes()});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(Content(root() / "bin/tool"), "#!");
  EXPECT_EQ(StatusOf(root() / "bin/tool").st_uid, 12u);
  EXPECT_EQ(StatusOf(root() / "bin/tool").st_gid, 34u);
  EXPECT_EQ(StatusOf(root() / "bin/tool").st_mode & 07777, 0755u);
  EXPECT_EQ(StatusOf(root() / "bin/same").st_ino, StatusOf(root() / "bin/tool").st_ino);
  EXPECT_EQ(fs::read_symlink(root() / "bin/sh"), "/bin/tool");
  EXPECT_EQ(StatusOf(root() / "tmp").st_mode & 07777, 01777u);
  EXPECT_EQ(Content(root() / "deep/er/file"), "x");
  EXPECT_EQ(config->bytes, 3u);
  EXPECT_EQ(config->files, 8u) << "six entries and two implied folders";
}

TEST_F(UnpackTest, DropsSetUserIdBits) {
  ASSERT_TRUE(UnpackLayers({TestTar().File("su", "x", 06755).Bytes()}));
  EXPECT_EQ(StatusOf(root() / "su").st_mode & 07777, 0755u);
}

TEST_F(UnpackTest, GivesOwnersThatNoContainerHasToNobody) {
  ASSERT_TRUE(UnpackLayers({TestTar().File("a", "x", 0644, 200000, 5).Bytes()}));
  EXPECT_EQ(StatusOf(root() / "a").st_uid, 65534u);
  EXPECT_EQ(StatusOf(root() / "a").st_gid, 5u);
}

TEST_F(UnpackTest, KeepsNamesInUtf8) {
  const Utf8Names utf8_names;
  ASSERT_TRUE(UnpackLayers({TestTar().File("straße/日本", "x").Bytes()}));
  EXPECT_EQ(Content(root() / "straße/日本"), "x");
}

TEST_F(UnpackTest, ReadsGzipAndZstdLayers) {
  ASSERT_TRUE(UnpackLayers({TestTar().File("a", "gzip").Bytes(ARCHIVE_FILTER_GZIP),
                            TestTar().File("b", "zstd").Bytes(ARCHIVE_FILTER_ZSTD)}));
  EXPECT_EQ(Content(root() / "a"), "gzip");
  EXPECT_EQ(Content(root() / "b"), "zstd");
}

TEST_F(UnpackTest, UpperLayersReplaceLowerEntriesOfAnyKind) {
  ASSERT_TRUE(UnpackLayers(
      {TestTar().File("a", "old").Folder("b").File("b/x", "1").Symlink("c", "a").Bytes(),
       TestTar().Folder("a").File("a/y", "2").File("b", "file").File("c", "new").Bytes()}));
  EXPECT_EQ(Content(root() / "a/y"), "2");
  EXPECT_EQ(Content(root() / "b"), "file");
  EXPECT_EQ(Content(root() / "c"), "new");
  EXPECT_FALSE(fs::is_symlink(root() / "c"));
}

TEST_F(UnpackTest, FoldersMergeAndTakeTheUpperMode) {
  ASSERT_TRUE(UnpackLayers({TestTar().Folder("d", 0755).File("d/low", "1").Bytes(),
                            TestTar().Folder("d", 0700).File("d/high", "2").Bytes()}));
  EXPECT_EQ(Content(root() / "d/low"), "1");
  EXPECT_EQ(Content(root() / "d/high"), "2");
  EXPECT_EQ(StatusOf(root() / "d").st_mode & 0777, 0700u);
}

TEST_F(UnpackTest, AWhiteoutRemovesAFileOrATree) {
  ASSERT_TRUE(
      UnpackLayers({TestTar().File("keep", "1").File("gone", "2").File("tree/a/b", "3").Bytes(),
                    TestTar().File(".wh.gone", "").File(".wh.tree", "").Bytes()}));
  EXPECT_TRUE(fs::exists(root() / "keep"));
  EXPECT_FALSE(fs::exists(root() / "gone"));
  EXPECT_FALSE(fs::exists(root() / "tree"));
  EXPECT_FALSE(fs::exists(root() / ".wh.gone"));
}

TEST_F(UnpackTest, AWhiteoutOfNothingIsFine) {
  EXPECT_TRUE(UnpackLayers({TestTar().File("no/such/.wh.thing", "").Bytes()}));
}

TEST_F(UnpackTest, AnOpaqueWhiteoutSparesItsOwnLayerWhateverTheOrder) {
  ASSERT_TRUE(UnpackLayers(
      {TestTar().File("d/low", "1").File("d/sub/low", "1").Bytes(),
       TestTar().File("d/sub/high", "2").File("d/.wh..wh..opq", "").File("d/high", "2").Bytes()}));
  EXPECT_FALSE(fs::exists(root() / "d/low"));
  EXPECT_FALSE(fs::exists(root() / "d/sub/low"));
  EXPECT_TRUE(fs::exists(root() / "d/sub/high"));
  EXPECT_TRUE(fs::exists(root() / "d/high"));
}

TEST_F(UnpackTest, LinksInsideTheImageAreFollowedInsideTheImage) {
  ASSERT_TRUE(
      UnpackLayers({TestTar().Folder("usr").Folder("usr/lib").Symlink("lib", "/usr/lib").Bytes(),
                    TestTar().File("lib/libc.so", "elf").Bytes()}));
  EXPECT_EQ(Content(root() / "usr/lib/libc.so"), "elf");
  EXPECT_TRUE(fs::is_symlink(root() / "lib"));
}

TEST_F(UnpackTest, DevicesAndFifosAreLeftOutWithANote) {
  const auto config = UnpackLayers({TestTar()
                                        .Special("dev/null", AE_IFCHR)
                                        .Special("dev/sda", AE_IFBLK)
                                        .Special("pipe", AE_IFIFO)
                                        .File("a", "x")
                                        .Bytes()});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_FALSE(fs::exists(root() / "dev/null"));
  EXPECT_FALSE(fs::exists(root() / "pipe"));
  EXPECT_TRUE(fs::exists(root() / "a"));
  ASSERT_EQ(config->notes.size(), 3u);
  EXPECT_THAT(config->notes[0], HasSubstr("/dev/null"));
}

TEST_F(UnpackTest, ReadsWhatDockerSaveWrites) {
  const auto config = UnpackBytes(
      TestDockerSave({TestTar().File("run", "1").Bytes(), TestTar().File("data", "2").Bytes()}));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(Content(root() / "run"), "1");
  EXPECT_EQ(Content(root() / "data"), "2");
  EXPECT_THAT(config->Argv({}), ElementsAre("/run"));
}

TEST_F(UnpackTest, ReportsHowTheImageWantsToRun) {
  ImagePlan plan;
  plan.files = {{.path = "/etc/passwd", .content = "root:x:0:0::/:/\nweb:x:33:44::/:/\n"},
                {.path = "/app/run", .mode = 0755, .content = "x"}};
  plan.entrypoint = {"/app/run"};
  plan.command = {"--fast"};
  plan.environment = {{"MODE", "a=b"}};
  plan.working_folder = "/app";
  plan.user = "web";
  plan.exposed_ports = {9000, 80};
  const auto config = UnpackLayers({}, plan);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_THAT(config->Argv({}), ElementsAre("/app/run", "--fast"));
  EXPECT_THAT(config->Argv({"/other"}), ElementsAre("/other"));
  EXPECT_EQ(config->environment.at("MODE"), "a=b");
  EXPECT_EQ(config->working_folder, "/app");
  EXPECT_EQ(config->uid, 33u);
  EXPECT_EQ(config->gid, 44u);
  EXPECT_THAT(config->exposed_ports, ElementsAre(80, 9000));
  const auto parsed = ParseImageConfig(ImageConfigToJson(*config) + "\n");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(*parsed, *config);
}

// What a hostile layer may try; each is refused with a sentence, and nothing outside changes.

TEST_F(UnpackTest, RefusesAnAbsolutePath) {
  EXPECT_THAT(ErrorOf({TestTar().File((outside() / "secret").string(), "owned").Bytes()}),
              HasSubstr("has an absolute path"));
}

TEST_F(UnpackTest, RefusesDotDot) {
  EXPECT_THAT(ErrorOf({TestTar().File("../outside/secret", "owned").Bytes()}), HasSubstr("'..'"));
  EXPECT_THAT(ErrorOf({TestTar().File("a/../../outside/secret", "owned").Bytes()}),
              HasSubstr("'..'"));
}

TEST_F(UnpackTest, AnAbsoluteLinkNeverLeadsOut) {
  ASSERT_TRUE(UnpackLayers({TestTar()
                                .Folder("real")
                                .Folder("real" + outside().string())
                                .Symlink("out", outside().string())
                                .Bytes()}));
  // In the image /WORK/outside does not exist: writing through the link fails, and only inside.
  EXPECT_THAT(
      ErrorOf({TestTar().Symlink("out", outside().string()).File("out/secret", "owned").Bytes()}),
      HasSubstr("leads nowhere"));
}

TEST_F(UnpackTest, ADotDotLinkNeverLeadsOut) {
  EXPECT_THAT(ErrorOf({TestTar().Symlink("out", "../outside").File("out/secret", "owned").Bytes()}),
              HasSubstr("leads nowhere"));
}

TEST_F(UnpackTest, AFileNeverFollowsALinkOfItsOwnName) {
  ASSERT_TRUE(UnpackLayers(
      {TestTar().Symlink("a", (outside() / "secret").string()).File("a", "mine").Bytes()}));
  EXPECT_EQ(Content(root() / "a"), "mine");
  EXPECT_EQ(Content(outside() / "secret"), "untouched");
}

TEST_F(UnpackTest, RefusesAHardLinkThatLeavesTheImage) {
  EXPECT_THAT(ErrorOf({TestTar().HardLink("a", "../outside/secret").Bytes()}), HasSubstr("'..'"));
  EXPECT_THAT(ErrorOf({TestTar().HardLink("a", "/etc/passwd").Bytes()}), HasSubstr("absolute"));
  EXPECT_THAT(ErrorOf({TestTar().Symlink("out", "../outside").HardLink("a", "out/secret").Bytes()}),
              HasSubstr("not in the image"));
}

TEST_F(UnpackTest, RefusesAHardLinkToAFolderOrToNothing) {
  EXPECT_THAT(ErrorOf({TestTar().Folder("d").HardLink("a", "d").Bytes()}), HasSubstr("folder"));
  EXPECT_THAT(ErrorOf({TestTar().HardLink("a", "nothing").Bytes()}), HasSubstr("not in the image"));
}

TEST_F(UnpackTest, AWhiteoutNeverReachesOut) {
  EXPECT_THAT(ErrorOf({TestTar().File("a/.wh...", "").Bytes()}), HasSubstr("names no file"));
  ASSERT_TRUE(
      UnpackLayers({TestTar().Symlink("out", "../outside").File("out/.wh.secret", "").Bytes()}));
  ASSERT_TRUE(
      UnpackLayers({TestTar().Symlink("out", "../outside").File("out/.wh..wh..opq", "").Bytes()}));
  EXPECT_EQ(Content(outside() / "secret"), "untouched");
}

TEST_F(UnpackTest, RefusesMoreBytesThanTheLimit) {
  const std::string megabyte(1 << 20, '\0');
  EXPECT_THAT(ErrorOf({TestTar().File("a", megabyte).Bytes(ARCHIVE_FILTER_GZIP)},
                      {.bytes = 1000, .files = 10}),
              HasSubstr("unpack to more than"));
}

TEST_F(UnpackTest, RefusesACompressionBombBehindTheEntries) {
  // The tar ends; what follows it is only decompressed to be hashed.
  std::string bomb = TestTar().File("a", "x").Bytes();
  bomb.resize(bomb.size() + (8u << 20), '\0');
  const auto layer = work_.path() / "bomb.tar";
  ASSERT_TRUE(WriteFileAtomically(layer, bomb));
  ASSERT_EQ(std::system(("gzip -1 " + layer.string()).c_str()), 0);
  EXPECT_THAT(ErrorOf({Content(layer.string() + ".gz")}, {.bytes = 100'000, .files = 100}),
              HasSubstr("unpack to more"));
}

TEST_F(UnpackTest, RefusesMoreFilesThanTheLimit) {
  EXPECT_THAT(ErrorOf({TestTar().File("a", "").File("b", "").File("c", "").Bytes()},
                      {.bytes = 1000, .files = 2}),
              HasSubstr("more than 2 files"));
  EXPECT_THAT(ErrorOf({TestTar().File("1/2/3/4/5/6/7/8/9", "").File("a", "").Bytes()},
                      {.bytes = 1000, .files = 5}),
              HasSubstr("more than 5 files"))
      << "implied folders count too";
}

TEST_F(UnpackTest, RefusesAPathThatIsTooLongOrTooDeep) {
  std::string deep;
  for (int i = 0; i < 300; ++i) deep += "d/";
  EXPECT_THAT(ErrorOf({TestTar().File(deep + "f", "").Bytes()}), HasSubstr("too deep"));
  EXPECT_THAT(ErrorOf({TestTar().File(std::string(300, 'n'), "").Bytes()}), HasSubstr("too long"));
}

// Broken archives: what is wrong is named.

TEST_F(UnpackTest, RefusesWhatIsNoTar) {
  const auto config = UnpackBytes(std::string(100000, 'x'));
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Code::kInvalidArgument);
  EXPECT_THAT(config.error().message, HasSubstr("cannot be read as a tar"));
}

TEST_F(UnpackTest, RefusesATarThatIsNoImage) {
  const auto config = UnpackBytes(TestTar().File("hello", "x").Bytes());
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("not an image"));
}

TEST_F(UnpackTest, RefusesATruncatedArchive) {
  const std::string whole =
      Content(TestImage(work_.path(), {TestTar().File("a", std::string(50000, 'a')).Bytes()}));
  for (const size_t size : {whole.size() / 4, whole.size() / 2, whole.size() * 9 / 10}) {
    const auto config = UnpackBytes(whole.substr(0, size));
    EXPECT_FALSE(config) << size;
  }
}

TEST_F(UnpackTest, RefusesALayerWhoseBytesWereChanged) {
  std::string bytes =
      Content(TestImage(work_.path(), {TestTar().File("a", "original content").Bytes()}));
  const size_t at = bytes.find("original content");
  ASSERT_NE(at, std::string::npos);
  bytes[at] = 'O';
  const auto config = UnpackBytes(bytes);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("its digest is sha256:"));
}

TEST_F(UnpackTest, RefusesADocumentWhoseBytesWereChanged) {
  ImagePlan plan;
  plan.entrypoint = {"/original"};
  std::string bytes = Content(TestImage(work_.path(), {}, plan));
  bytes.replace(bytes.find("/original"), 9, "/replaced");
  const auto config = UnpackBytes(bytes);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("damaged"));
}

TEST_F(UnpackTest, RefusesADockerSaveLayerThatIsNotTheConfigurations) {
  std::string bytes = TestDockerSave({TestTar().File("a", "original").Bytes()});
  bytes.replace(bytes.find("original"), 8, "replaced");
  const auto config = UnpackBytes(bytes);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("its digest is sha256:"));
}

TEST_F(UnpackTest, RefusesALayoutWithoutItsManifest) {
  const auto config = UnpackBytes(
      TestTar()
          .File("index.json", R"({"manifests":[{"digest":"sha256:)" + Sha256("x").value + "\"}]}")
          .Bytes());
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("has no 'blobs/sha256/" + Sha256("x").value));
}

struct BadIndex {
  std::string name;
  std::string index;
  std::string message;
};

class BadIndexTest : public UnpackTest, public testing::WithParamInterface<BadIndex> {};

TEST_P(BadIndexTest, IsRefusedWithItsReason) {
  const auto config = UnpackBytes(TestTar().File("index.json", GetParam().index).Bytes());
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Image, BadIndexTest,
    testing::Values(
        BadIndex{"NotJson", "{", "not a JSON object"}, BadIndex{"AList", "[]", "not a JSON object"},
        BadIndex{"NoManifests", "{}", "not an image manifest"},
        BadIndex{"EmptyManifests", R"({"manifests":[]})", "lists no manifest"},
        BadIndex{"WrongType", R"({"manifests":7})", "'manifests' is not a list"},
        BadIndex{"BadDigest", R"({"manifests":[{"digest":"sha256:../../etc"}]})",
                 "is not a digest"},
        BadIndex{"NumberAsDigest", R"({"manifests":[{"digest":1}]})", "'digest' is not a string"},
        BadIndex{"OtherMachine",
                 R"({"manifests":[{"platform":{"os":"linux","architecture":"s390x"}}]})",
                 "the image is for linux/s390x"},
        BadIndex{"TooDeep", "{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}",
                 "nested deeper"}),
    [](const auto& test) { return test.param.name; });

TEST_F(UnpackTest, PicksThisMachineFromAnIndexOfSeveral) {
  const std::string whole = Content(TestImage(work_.path(), {TestTar().File("a", "mine").Bytes()}));
  const size_t at = whole.find("\"digest\":\"sha256:", whole.find("image.index.v1+json"));
  const std::string mine = whole.substr(at + 17, 64);
  const std::string index = R"({"manifests":[{"platform":{"os":"linux","architecture":"s390x"},)"
                            R"("digest":"sha256:)" +
                            Sha256("other").value + R"("},)" +
                            R"({"platform":{"os":"unknown","architecture":"unknown"},)"
                            R"("digest":"sha256:)" +
                            Sha256("attestation").value + R"("},)" +
                            R"({"platform":{"os":"linux","architecture":"amd64"},)"
                            R"("digest":"sha256:)" +
                            mine + R"("}]})";
  // The last entry of a name counts, so an archive can be amended by appending.
  std::string amended = whole.substr(0, whole.size() - 1024);
  amended += TestTar().File("index.json", index).Bytes();
  const auto config = UnpackBytes(amended);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(Content(root() / "a"), "mine");
}

TEST_F(UnpackTest, TheProgramPrintsOneLineOrOneSentenceUnderItsOwnFilter) {
  const std::string program = ProgramFolder() / "hybridserve-unpack";
  const auto run = [&](const std::string& archive) {
    const std::string command = program + kLockdownFlag + " 3<" + archive + " 4<" +
                                root().string() + " >" + (work_.path() / "out").string() + " 2>&1";
    return WEXITSTATUS(std::system(command.c_str()));
  };
  const std::string layer = TestTar()
                                .Folder("usr")
                                .File("usr/a", "x")
                                .HardLink("b", "usr/a")
                                .Symlink("c", "b")
                                .Bytes(ARCHIVE_FILTER_GZIP);
  const auto archive = TestImage(work_.path(), {layer, TestTar().File(".wh.c", "").Bytes()});
  EXPECT_EQ(run(archive), 0) << Content(work_.path() / "out");
  const auto config = ParseImageConfig(Content(work_.path() / "out"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->files, 5u);
  EXPECT_EQ(Content(root() / "b"), "x");

  ImagePlan plan;
  plan.environment["HUGE"] = std::string(100'000, 'x');
  EXPECT_EQ(run(TestImage(work_.path(), {}, plan)), 1);
  EXPECT_THAT(Content(work_.path() / "out"), HasSubstr("take 100"));

  EXPECT_EQ(run("/etc/passwd"), 1);
  EXPECT_THAT(Content(work_.path() / "out"), HasSubstr("cannot be read as a tar"));
}

// The packer.

TEST(Packer, WritesTheSameBytesForTheSamePlan) {
  TemporaryFolder work;
  ImagePlan plan;
  plan.files = {{.path = "/b", .content = "2"}, {.path = "a", .mode = 0755, .content = "1"}};
  plan.environment = {{"X", "1"}};
  const auto first = PackImage(plan, work.path() / "1.tar");
  ASSERT_TRUE(first) << first.error().message;
  std::swap(plan.files[0], plan.files[1]);
  const auto second = PackImage(plan, work.path() / "2.tar");
  ASSERT_TRUE(second);
  EXPECT_EQ(*first, *second) << "the order of the files does not matter";
  EXPECT_EQ(first->value, Sha256(Content(work.path() / "1.tar")).value);
}

TEST(Packer, RefusesPathsThatCollideOrLeave) {
  TemporaryFolder work;
  const auto message = [&work](std::vector<ImageFile> files) {
    ImagePlan plan;
    plan.files = std::move(files);
    auto packed = PackImage(plan, work.path() / "image.tar");
    return packed ? std::string() : packed.error().message;
  };
  EXPECT_THAT(message({{.path = "/a"}, {.path = "a"}}), HasSubstr("twice"));
  EXPECT_THAT(message({{.path = "/a/../../b"}}), HasSubstr("leaves the image"));
  EXPECT_THAT(message({{.path = "/"}}), HasSubstr("names no file"));
  EXPECT_THAT(message({{.path = "/a"}, {.path = "/a/b"}}), HasSubstr("both a file and a folder"));
  EXPECT_THAT(message({{.path = "/a", .source = "/dev/null"}}), HasSubstr("not a regular file"));
  EXPECT_FALSE(fs::exists(work.path() / "image.tar"));
}

TEST(Packer, RefusesABaseLayerThatIsNoTar) {
  TemporaryFolder work;
  ASSERT_TRUE(WriteFileAtomically(work.path() / "base", std::string(5000, 'x')));
  ImagePlan plan;
  plan.base_layers = {work.path() / "base"};
  const auto packed = PackImage(plan, work.path() / "image.tar");
  ASSERT_FALSE(packed);
  EXPECT_THAT(packed.error().message, HasSubstr("base layer"));
}

TEST_F(UnpackTest, ALayoutFolderPacksToTheImageItHolds) {
  const auto archive = TestImage(work_.path(), {TestTar().File("a", "x").Bytes()});
  fs::create_directory(work_.path() / "layout");
  ASSERT_EQ(
      std::system(
          ("tar -xf " + archive.string() + " -C " + (work_.path() / "layout").string()).c_str()),
      0);
  std::ofstream(work_.path() / "layout" / "blobs" / "sha256" / "stray") << "x";
  const auto packed = PackLayoutFolder(work_.path() / "layout", work_.path() / "again.tar");
  ASSERT_TRUE(packed) << packed.error().message;
  EXPECT_EQ(Content(work_.path() / "again.tar"), Content(archive));
  EXPECT_TRUE(UnpackFile(work_.path() / "again.tar"));
  const auto bad = PackLayoutFolder(root(), work_.path() / "bad.tar");
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, HasSubstr("it has no index.json"));
}

// Small parts.

struct UserCase {
  std::string name, user;
  std::optional<UserIds> want;
};

class UserTest : public testing::TestWithParam<UserCase> {};

TEST_P(UserTest, Resolves) {
  const auto ids =
      ResolveUser(GetParam().user, "root:x:0:0::/:/\nweb:x:33:44:Web:/:/bin/sh\nbig:x:70000:1::/:/",
                  "staff:x:50:\nweb:x:44:");
  ASSERT_EQ(ids.has_value(), GetParam().want.has_value());
  if (ids) {
    EXPECT_EQ(*ids, *GetParam().want);
  }
}

INSTANTIATE_TEST_SUITE_P(Image, UserTest,
                         testing::Values(UserCase{"NobodyNamedIsRoot", "", UserIds{0, 0}},
                                         UserCase{"ByName", "web", UserIds{33, 44}},
                                         UserCase{"ByIdInPasswd", "33", UserIds{33, 44}},
                                         UserCase{"ByIdOnly", "1000", UserIds{1000, 0}},
                                         UserCase{"WithGroup", "web:staff", UserIds{33, 50}},
                                         UserCase{"WithGroupId", "1000:7", UserIds{1000, 7}},
                                         UserCase{"UnknownUser", "nobody-here", std::nullopt},
                                         UserCase{"UnknownGroup", "web:none", std::nullopt},
                                         UserCase{"OverRange", "70000", std::nullopt},
                                         UserCase{"NamedOverRange", "big", std::nullopt},
                                         UserCase{"Negative", "-1", std::nullopt}),
                         [](const auto& test) { return test.param.name; });

TEST(ImageConfig, RefusesWrongTypesNamingTheKey) {
  for (const char* text :
       {R"({"uid":"root"})", R"({"uid":65536})", R"({"uid":-1})", R"({"entrypoint":[1]})",
        R"({"env":{"A":1}})", R"({"exposed_ports":[70000]})"}) {
    const auto config = ParseImageConfig(text);
    ASSERT_FALSE(config) << text;
    EXPECT_THAT(config.error().message, HasSubstr("image configuration: '")) << text;
  }
}

}  // namespace
}  // namespace hybridserve

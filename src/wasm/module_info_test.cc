#include "wasm/module_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hybridserve {
namespace {

using testing::HasSubstr;

// A binary module, section by section. Sizes are below 128, so that one byte holds each.
class Binary {
 public:
  Binary& Section(char id, const std::string& content) {
    bytes_.push_back(id);
    bytes_.push_back(static_cast<char>(content.size()));
    bytes_.append(content);
    return *this;
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_ = std::string("\0asm\1\0\0\0", 8);
};

std::string Name(const std::string& text) { return static_cast<char>(text.size()) + text; }
std::string Bytes(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) bytes.push_back(static_cast<char>(value));
  return bytes;
}

std::string StartExport() { return Bytes({1}) + Name("_start") + Bytes({0, 0}); }

const std::vector<std::string_view> kKnown = {"fd_write", "proc_exit"};
Result<> Check(const ModuleInfo& info, uint64_t limit = 1u << 20) {
  return CheckCommand(info, "wasi", kKnown, limit);
}

TEST(ModuleInfo, ReadsImportsExportsAndMemories) {
  const std::string imports = Bytes({5}) +                                       //
                              Name("wasi") + Name("fd_write") + Bytes({0, 3}) +  // a function
                              Name("env") + Name("t") + Bytes({1, 0x70, 1, 2, 9}) + Name("env") +
                              Name("m") + Bytes({2, 0, 3}) + Name("env") + Name("g") +
                              Bytes({3, 0x7f, 1}) + Name("env") + Name("e") + Bytes({4, 0, 2});
  const auto info = ReadModuleInfo(Binary()
                                       .Section(2, imports)
                                       .Section(5, Bytes({1, 1, 1, 2}))
                                       .Section(7, StartExport())
                                       .Section(0, Name("custom") + "anything")
                                       .bytes());
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->kind, WasmKind::kCoreModule);
  ASSERT_EQ(info->imports.size(), 5u);
  EXPECT_EQ(info->imports[0], (WasmImport{"wasi", "fd_write", ExternKind::kFunction}));
  EXPECT_EQ(info->imports[4], (WasmImport{"env", "e", ExternKind::kTag}));
  EXPECT_THAT(info->exports, testing::ElementsAre(WasmExport{"_start", ExternKind::kFunction}));
  ASSERT_EQ(info->memories.size(), 2u);
  EXPECT_TRUE(info->memories[0].imported);
  EXPECT_EQ(info->memories[0].maximum_bytes, std::nullopt);
  EXPECT_EQ(info->memories[1].maximum_bytes, 2u << 16);
  EXPECT_EQ(info->MinimumMemoryBytes(), 4u << 16);
}

TEST(ModuleInfo, KnowsSharedAnd64BitMemoriesAndPageSizes) {
  const auto info =
      ReadModuleInfo(Binary()
                         .Section(5, Bytes({3, 3, 1, 2, 4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                            0xff, 0xff, 1, 8, 100, 0}))
                         .bytes());
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_TRUE(info->memories[0].shared);
  EXPECT_EQ(info->memories[1].minimum_bytes, UINT64_MAX);  // Saturated.
  EXPECT_EQ(info->memories[2].minimum_bytes, 100u);
  EXPECT_EQ(info->MinimumMemoryBytes(), UINT64_MAX);
}

TEST(ModuleInfo, KnowsAComponent) {
  const auto info = ReadModuleInfo(std::string("\0asm\x0d\0\1\0rest", 12));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->kind, WasmKind::kComponent);
  EXPECT_EQ(Check(*info).error().code, Code::kUnsupported);
}

struct BadCase {
  std::string name;
  std::string bytes;
  std::string says;
};
class BadModuleTest : public testing::TestWithParam<BadCase> {};

TEST_P(BadModuleTest, IsRefused) {
  const auto info = ReadModuleInfo(GetParam().bytes);
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, Code::kInvalidArgument);
  EXPECT_THAT(info.error().message, HasSubstr(GetParam().says));
}

const std::string kHead("\0asm\1\0\0\0", 8);
INSTANTIATE_TEST_SUITE_P(
    ModuleInfo, BadModuleTest,
    testing::Values(
        BadCase{"Empty", "", "not a WebAssembly file"},
        BadCase{"Text", "(module)", "not a WebAssembly file"},
        BadCase{"Elf",
                "\x7f"
                "ELF1234",
                "not a WebAssembly file"},
        BadCase{"OnlyMagic", kHead.substr(0, 4), "cut off"},
        BadCase{"Version", std::string("\0asm\2\0\0\0", 8), "unknown version"},
        BadCase{"SectionBeyondTheEnd", kHead + Bytes({1, 100, 0}), "section 1 at offset 8"},
        BadCase{"EndlessNumber", kHead + Bytes({1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), "cut off"},
        BadCase{"NumberTooLarge", kHead + Bytes({1, 0xff, 0xff, 0xff, 0xff, 0x7f}), "cut off"},
        BadCase{"ImportCountTooLarge", kHead + Bytes({2, 5, 0xff, 0xff, 0xff, 0xff, 0x0f}),
                "malformed: section 2"},
        BadCase{"NameBeyondTheSection", kHead + Bytes({2, 3, 1, 50, 'a'}), "malformed: section 2"},
        BadCase{"UnknownImportKind", kHead + Bytes({2, 6, 1, 1, 'a', 1, 'b', 9}), "malformed"},
        BadCase{"UnknownExportKind", kHead + Bytes({7, 5, 1, 1, 'a', 9, 0}),
                "malformed: section 7"},
        BadCase{"UnknownLimits", kHead + Bytes({5, 3, 1, 99, 1}), "malformed: section 5"},
        BadCase{"BytesAfterTheLastEntry", kHead + Bytes({5, 4, 1, 0, 1, 0}),
                "malformed: section 5"}),
    [](const auto& row) { return row.param.name; });

TEST(CheckCommand, AcceptsACommandWithinItsLimit) {
  ModuleInfo info;
  info.imports = {{"wasi", "fd_write", ExternKind::kFunction}};
  info.exports = {{"_start", ExternKind::kFunction}};
  info.memories = {{.minimum_bytes = 1u << 20}};
  EXPECT_TRUE(Check(info));
}

TEST(CheckCommand, NamesUnknownImportsUpToTen) {
  ModuleInfo info;
  info.imports = {{"wasi", "proc_exit", ExternKind::kFunction},
                  {"wasi", "fd_write", ExternKind::kGlobal},
                  {"env", "a", ExternKind::kFunction}};
  EXPECT_THAT(Check(info).error().message, HasSubstr("gets: wasi.fd_write, env.a; only"));
  for (int i = 0; i < 20; ++i) info.imports.push_back({"env", "x" + std::to_string(i)});
  EXPECT_THAT(Check(info).error().message, HasSubstr("x7 and 12 more"));
}

TEST(CheckCommand, RefusesALibrary) {
  ModuleInfo info;
  info.exports = {{"_start", ExternKind::kGlobal}, {"_initialize", ExternKind::kFunction}};
  EXPECT_THAT(Check(info).error().message, HasSubstr("no function _start"));
}

TEST(CheckCommand, CountsAllMemoriesTogether) {
  ModuleInfo info;
  info.exports = {{"_start", ExternKind::kFunction}};
  info.memories = {{.minimum_bytes = 600u << 10}, {.minimum_bytes = 600u << 10}};
  EXPECT_THAT(Check(info).error().message, HasSubstr("needs 2 MiB of memory at its start"));
  EXPECT_TRUE(Check(info, 2u << 20));
}

}  // namespace
}  // namespace hybridserve

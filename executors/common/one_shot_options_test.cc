#include "executors/common/one_shot_options.h"

#include <gmock/gmock.h>

namespace hybridserve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

EngineProgram Program() {
  EngineProgram program;
  program.name = "engine";
  program.compilers = {{"fast"}, {"slow", true}};
  program.modes = {Mode::kAot, Mode::kJit, Mode::kJitCache, Mode::kInterpreter};
  return program;
}

Result<OneShotOptions> Parse(std::vector<std::string_view> words) {
  return ParseOneShot(Program(), Arguments(std::move(words)));
}

TEST(OneShotOptionsTest, WhatFollowsTheModuleIsTheGuests) {
  const auto options = Parse({"--timeout", "5", "a.wasm", "--mode", "jit"});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_THAT(options->arguments, ElementsAre("a.wasm", "--mode", "jit"));
  EXPECT_EQ(options->mode, Mode::kAot);
  EXPECT_EQ(options->timeout, std::chrono::milliseconds(5));
}

TEST(OneShotOptionsTest, FirstCompilerIsTheDefaultAndAnInterpreterInterprets) {
  EXPECT_EQ(Parse({"a.wasm"})->compiler, "fast");
  EXPECT_EQ(Parse({"--compiler", "slow", "a.wasm"})->mode, Mode::kInterpreter);
}

TEST(OneShotOptionsTest, FolderIsReadOnlyUnlessItSaysOtherwise) {
  const auto options = Parse({"--folder", "/h:/g", "--folder", "/i:/j:rw", "a.wasm"});
  ASSERT_TRUE(options) << options.error().message;
  ASSERT_EQ(options->folders.size(), 2u);
  EXPECT_EQ(options->folders[0].guest, "/g");
  EXPECT_FALSE(options->folders[0].writable);
  EXPECT_TRUE(options->folders[1].writable);
}

struct BadCase {
  std::string name;
  std::vector<std::string_view> words;
  std::string says;
};

class BadOptionTest : public testing::TestWithParam<BadCase> {};

TEST_P(BadOptionTest, IsRefusedInWords) {
  const auto options = Parse(GetParam().words);
  ASSERT_FALSE(options);
  EXPECT_THAT(options.error().message, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadOptionTest,
    testing::Values(
        BadCase{"NoModule", {}, "needs the .wasm file"},
        BadCase{"UnknownOption", {"--frob", "a.wasm"}, "no option '--frob'"},
        BadCase{"UnknownMode", {"--mode", "fast", "a.wasm"}, "there is no mode 'fast'"},
        BadCase{"UnknownCompiler", {"--compiler", "gcc", "a.wasm"}, "has fast, slow"},
        BadCase{"ModeOfAnother", {"--compiler", "slow", "--mode", "jit", "a.wasm"}, "no mode jit"},
        BadCase{"CacheWithoutItsMode", {"--mode", "jit", "--cache", "/c", "a.wasm"}, "jit-cache"},
        BadCase{"CacheModeWithoutFolder", {"--mode", "jit-cache", "a.wasm"}, "--cache FOLDER"},
        BadCase{"CodeForJit", {"--mode", "jit", "--code", "c", "a.wasm"}, "--code is for"},
        BadCase{"NoOwnWasi", {"--wasi", "own", "a.wasm"}, "no WASI of its own"},
        BadCase{"WhoseWasi", {"--wasi", "yours", "a.wasm"}, "not 'yours'"},
        BadCase{"FolderWithoutGuest", {"--folder", "/h", "a.wasm"}, "HOST:GUEST"},
        BadCase{"FolderAccess", {"--folder", "/h:/g:rx", "a.wasm"}, "HOST:GUEST"},
        BadCase{"VariableWithoutValue", {"--env", "A", "a.wasm"}, "NAME=VALUE"},
        BadCase{"RepeatNever", {"--repeat", "0", "a.wasm"}, "--repeat"},
        BadCase{"ValueMissing", {"--timeout"}, "--timeout"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace hybridserve

// `new` and `build`, with the real compilers where this machine has them.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/function_files.h"
#include "cli/image_build.h"
#include "cli/shell.h"
#include "cli/templates.h"
#include "cli/testing/console.h"
#include "cli/toolchain.h"

namespace hybridserve::cli {
namespace {

namespace fs = std::filesystem;

class BuildTest : public testing::Test {
 protected:
  fs::path folder() const { return temporary_.path() / "function"; }
  Outcome New(const std::string& language) {
    return RunNew({"hello", language, folder()}, console_.session());
  }
  Outcome Build(bool verbose = false) { return RunBuild({.path = folder(), .verbose = verbose}, console_.session()); }
  void WriteManifest(const std::string& rest) {
    fs::create_directories(folder());
    std::ofstream(folder() / "function.toml") << "name = \"hello\"\n" << rest;
  }
  std::string Run(const std::string& text, Variables variables = {}) {
    const Result<ShellResult> result =
        RunShell({.text = text, .folder = folder(), .variables = std::move(variables)});
    return result ? result->output : result.error().message;
  }
  void ExpectFailure(const Outcome& outcome, Code code, const std::string& part) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, code);
    EXPECT_NE(outcome.error().message.find(part), std::string::npos) << outcome.error().message;
  }
  /// Makes, builds and looks at what came out.
  void ExpectToBuild(const std::string& language) {
    ASSERT_EQ(New(language), 0);
    const Outcome outcome = Build();
    ASSERT_TRUE(outcome) << outcome.error().message << console_.Err();
    const Result<FunctionFiles> files = ReadFunctionFiles(folder());
    ASSERT_TRUE(files);
    const Result<std::string> module = ReadFile(files->module);
    ASSERT_TRUE(module);
    EXPECT_TRUE(module->starts_with(std::string("\0asm", 4)));
    EXPECT_NE(Run("tar -tf " + files->image.string()).find("index.json"), std::string::npos);
    EXPECT_NE(console_.Out().find("hello.wasm"), std::string::npos);
  }

  TemporaryFolder temporary_;
  Console console_;
};

/// A variable of the environment for the life of the object.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    ::setenv(name, value.c_str(), 1);
  }
  ~ScopedVariable() {
    if (old_) {
      ::setenv(name_, old_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

/// A machine without any compiler.
struct BareMachine {
  TemporaryFolder nothing;
  ScopedVariable cache{"XDG_CACHE_HOME", nothing.path()};
  ScopedVariable path{"PATH", nothing.path()};
  ScopedVariable zig{"HYBRIDSERVE_ZIG", ""};
};

bool HasZig() { return BuildVariables("$HYBRIDSERVE_WASM_CC").has_value(); }

TEST_F(BuildTest, ANewCppFunctionBuildsAndAnswers) {
  if (!HasZig()) GTEST_SKIP() << "no zig on this machine";
  ExpectToBuild("cpp");
  EXPECT_EQ(Run("build/hello", {{"QUERY_STRING", "name=edge"}}),
            "Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello, edge!\n");
}

TEST_F(BuildTest, ANewCFunctionBuildsAndAnswers) {
  if (!HasZig()) GTEST_SKIP() << "no zig on this machine";
  if (!fs::exists(ProgramFolder() / "hybridserve-init")) {
    GTEST_SKIP() << "hybridserve-init is not built";
  }
  ExpectToBuild("c");
  EXPECT_EQ(Run("printf edge | CONTENT_LENGTH=4 build/hello"),
            "Content-Type: text/plain\r\n\r\nHello, edge!\n");
}

TEST_F(BuildTest, ANewGoFunctionBuildsAndAnswers) {
  if (FindOnPath("go").empty()) GTEST_SKIP() << "no Go on this machine";
  ExpectToBuild("go");
  const std::string answer = Run("build/hello", {{"REQUEST_METHOD", "GET"},
                                                 {"SERVER_PROTOCOL", "HTTP/1.1"},
                                                 {"QUERY_STRING", "name=edge"},
                                                 {"HTTP_HOST", "h"}});
  EXPECT_TRUE(answer.ends_with("Hello, edge!\n")) << answer;
}

TEST_F(BuildTest, TheSameSourceGivesTheSameImage) {
  if (FindOnPath("gcc").empty()) GTEST_SKIP() << "no gcc on this machine";
  WriteManifest("[container]\nbinary = \"b\"\nbuild = \"$HYBRIDSERVE_NATIVE_CC m.c -o b\"\n");
  std::ofstream(folder() / "m.c") << "int main(void) { return 0; }\n";
  ASSERT_EQ(Build(), 0);
  const Result<std::string> first = ReadFile(folder() / "b.tar");
  ASSERT_EQ(Build(), 0);
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, ReadFile(folder() / "b.tar"));
}

TEST_F(BuildTest, EveryLanguageHasWhatAFunctionNeeds) {
  std::map<std::string_view, size_t> files;
  for (const TemplateFile& file : TemplateFiles()) ++files[file.language];
  for (const auto& [language, count] : files) {
    const TemporaryFolder temporary;
    Console console;
    ASSERT_EQ(RunNew({"a-b_c", std::string(language), temporary.path()}, console.session()), 0);
    const Result<FunctionFiles> made = ReadFunctionFiles(temporary.path());
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->manifest.name.value, "a-b_c");
    EXPECT_TRUE(made->manifest.wasm && made->manifest.container);
    EXPECT_TRUE(fs::exists(temporary.path() / "README.md")) << language;
    for (const auto& entry : fs::directory_iterator(temporary.path())) {
      EXPECT_EQ(ReadFile(entry.path())->find("@NAME@"), std::string::npos) << entry.path();
    }
  }
  EXPECT_EQ(files.size(), 3u);
}

TEST_F(BuildTest, NewWritesIntoNoFolderThatHasSomething) {
  fs::create_directories(folder());
  std::ofstream(folder() / "precious") << "x";
  ExpectFailure(New("c"), Code::kConflict, "not an empty folder");
  EXPECT_FALSE(fs::exists(folder() / "function.toml"));
}

TEST_F(BuildTest, AFailingCommandShowsWhatItPrinted) {
  WriteManifest("[wasm]\nmodule = \"m.wasm\"\nbuild = \"echo broken line 5; exit 3\"\n");
  ExpectFailure(Build(), Code::kInvalidArgument, "status 3: echo broken");
  EXPECT_NE(console_.Err().find("broken line 5\n"), std::string::npos);
}

TEST_F(BuildTest, ACommandThatMakesNothingIsAnError) {
  WriteManifest("[wasm]\nmodule = \"m.wasm\"\nbuild = \"true\"\n");
  ExpectFailure(Build(), Code::kNotFound, "although its build command succeeded");
  WriteManifest("[wasm]\nmodule = \"m.wasm\"\n");
  ExpectFailure(Build(), Code::kNotFound, "no build command");
}

TEST_F(BuildTest, ACompilerThatIsMissingIsNamedWithWhereToGetIt) {
  WriteManifest("[wasm]\nmodule = \"m.wasm\"\nbuild = \"$HYBRIDSERVE_WASM_CC m.c -o m.wasm\"\n");
  const BareMachine bare;
  ExpectFailure(Build(), Code::kUnsupported, "pip install ziglang");
}

TEST_F(BuildTest, OnlyWhatACommandMentionsIsLookedFor) {
  const BareMachine bare;
  EXPECT_TRUE(BuildVariables("go build"));
  EXPECT_FALSE(BuildVariables("$HYBRIDSERVE_WASM_CXX a.cc"));
  const ScopedVariable zig("HYBRIDSERVE_ZIG", "/opt/zig");
  const Result<Variables> variables = BuildVariables("$HYBRIDSERVE_WASM_CXX a.cc");
  ASSERT_TRUE(variables);
  EXPECT_EQ(variables->at(0).first, "HYBRIDSERVE_WASM_CXX");
  EXPECT_TRUE(variables->at(0).second.starts_with("/opt/zig c++ -target wasm32-wasi "));
}

TEST_F(BuildTest, AProgramThatNeedsLibrariesCannotStartFromScratch) {
  if (FindOnPath("gcc").empty()) GTEST_SKIP() << "no gcc on this machine";
  WriteManifest("[container]\nbinary = \"b\"\nbuild = \"gcc m.c -o b\"\n");
  std::ofstream(folder() / "m.c") << "int main(void) { return 0; }\n";
  ExpectFailure(Build(), Code::kInvalidArgument, "link it with -static");
}

TEST_F(BuildTest, WhatIsNoProgramIsNotPacked) {
  WriteManifest("[container]\nbinary = \"b\"\nbuild = \"echo text > b\"\n");
  ExpectFailure(Build(), Code::kInvalidArgument, "no 64-bit ELF program");
}

TEST_F(BuildTest, TheDebianBaseNeedsItsTool) {
  WriteManifest("[container]\nbinary = \"b\"\nbase = \"debian\"\nbuild = \"echo text > b\"\n");
  const BareMachine bare;
  ExpectFailure(Build(), Code::kUnsupported, "apt-get install mmdebstrap");
}

TEST_F(BuildTest, EachBaseGetsAProgramAndAnImageOfItsOwn) {
  if (FindOnPath("g++").empty()) GTEST_SKIP() << "no g++ on this machine";
  // A base that is made already, so that the test needs neither root nor a mirror.
  const ScopedVariable cache("XDG_CACHE_HOME", temporary_.path());
  fs::create_directories(temporary_.path() / "hybridserve/base-images");
  const Result<ShellResult> base =
      RunShell({.text = "for a in amd64 arm64; do tar -cf debian-bookworm-$a.tar --files-from "
                        "/dev/null; done",
                .folder = temporary_.path() / "hybridserve/base-images"});
  ASSERT_TRUE(base && base->status == 0);
  WriteManifest(
      "[container]\nbinary = \"b\"\nvariants = [\"debian\"]\n"
      "build = \"$HYBRIDSERVE_NATIVE_CXX m.cc -o b\"\n");
  std::ofstream(folder() / "m.cc") << "int main() { return 0; }\n";
  const Outcome outcome = Build();
  ASSERT_TRUE(outcome) << outcome.error().message << console_.Err();
  EXPECT_TRUE(fs::exists(folder() / "b.tar"));
  EXPECT_TRUE(fs::exists(folder() / "b-debian.tar"));
  // The last program built is that for Debian.
  EXPECT_EQ(*NeedsLoader(folder() / "b"), true);
  EXPECT_NE(console_.Out().find("container (debian)"), std::string::npos);
}

TEST_F(BuildTest, ABaseThatTheManifestLacksIsRefusedBeforeAnythingIsBuilt) {
  WriteManifest("[container]\nbinary = \"b\"\nbuild = \"touch built\"\n");
  ExpectFailure(RunBuild({.path = folder(), .base = "debian"}, console_.session()),
                Code::kInvalidArgument, "hello has no image on the base 'debian'");
  EXPECT_FALSE(fs::exists(folder() / "built"));
}

TEST_F(BuildTest, ACommandThatLacksAToolchainSaysWhich) {
  WriteManifest(
      "[wasm]\nmodule = \"m.wasm\"\nbuild = \"echo looking; echo needs COBOL 85; exit 77\"\n");
  ExpectFailure(Build(), Code::kUnsupported, "a toolchain is missing: needs COBOL 85");
}

TEST_F(BuildTest, AnImageThatIsGivenIsLeftAlone) {
  WriteManifest("[container]\nimage = \"given.tar\"\n");
  std::ofstream(folder() / "given.tar") << "x";
  EXPECT_EQ(Build(), 0);
  EXPECT_EQ(*ReadFile(folder() / "given.tar"), "x");
}

TEST(ShellTest, ASignalIsAStatusOver128) {
  EXPECT_EQ(RunShell({.text = "kill -9 $$"})->status, 137);
}

TEST(ShellTest, OfMuchOutputTheEndIsKept) {
  const Result<ShellResult> result = RunShell({.text = "seq 1 200000; echo end"});
  ASSERT_TRUE(result);
  EXPECT_LE(result->output.size(), 256u * 1024);
  EXPECT_TRUE(result->output.ends_with("200000\nend\n"));
}

}  // namespace
}  // namespace hybridserve::cli

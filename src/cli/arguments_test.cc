// The command line: what is understood, what is refused and how, and the completion made from it.
#include "cli/arguments.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "cli/shell.h"
#include "cli/testing/console.h"

namespace hybridserve::cli {
namespace {

struct MistakeCase {
  std::string name;
  std::vector<std::string> words;
  std::string want;  ///< Part of what is said.
};

class MistakeTest : public testing::TestWithParam<MistakeCase> {};

TEST_P(MistakeTest, IsNamedAndEndsWithStatus2) {
  const Parsed parsed = ParseArguments(GetParam().words);
  EXPECT_FALSE(parsed.run);
  EXPECT_EQ(parsed.exit_status, 2);
  EXPECT_NE(parsed.text.find(GetParam().want), std::string::npos) << parsed.text;
}

INSTANTIATE_TEST_SUITE_P(
    Arguments, MistakeTest,
    testing::Values(
        MistakeCase{"NothingShowsTheHelp", {}, "A first function:"},
        MistakeCase{"UnknownCommand", {"depoly"}, "no command 'depoly'; did you mean 'deploy'?"},
        MistakeCase{"UnknownOption", {"list", "--frob"}, "--frob"},
        MistakeCase{"NoName", {"invoke"}, "name is required"},
        MistakeCase{"NoLanguage", {"new", "a"}, "--lang is required"},
        MistakeCase{"UnknownLanguage", {"new", "a", "--lang", "cobol"}, "cobol"},
        MistakeCase{"UnknownFormat", {"list", "-o", "xml"}, "xml"},
        MistakeCase{"UnknownShell", {"completion", "tcsh"}, "tcsh"},
        MistakeCase{"TailIsNoNumber", {"logs", "a", "--tail", "x"}, "--tail"},
        MistakeCase{"RevisionZero", {"rollback", "a", "--to", "0"}, "--to"},
        MistakeCase{"TwoWords", {"describe", "a", "b"}, "b"}),
    [](const auto& tested) { return tested.param.name; });

TEST(ArgumentsTest, EveryCommandTeachesByExample) {
  for (const CommandDescription& command : DescribeCommands()) {
    const Parsed parsed = ParseArguments({command.name, "--help"});
    EXPECT_EQ(parsed.exit_status, 0);
    EXPECT_NE(parsed.text.find("Examples:\n"), std::string::npos) << command.name;
    EXPECT_NE(parsed.text.find("hybridserve " + command.name), std::string::npos) << command.name;
  }
}

TEST(ArgumentsTest, EveryOptionHasHelp) {
  for (const CommandDescription& command : DescribeCommands()) {
    EXPECT_FALSE(command.help.empty()) << command.name;
    for (const OptionDescription& option : command.options) {
      EXPECT_FALSE(option.help.empty()) << command.name << " " << option.names.front();
    }
  }
}

TEST(ArgumentsTest, TheNodeAndTheOutputAreCommonToCommands) {
  const Parsed parsed = ParseArguments(
      {"list", "--state-folder", "/s", "--node", "http://h:1", "--token-file", "/t", "-o", "json"});
  ASSERT_TRUE(parsed.run);
  EXPECT_EQ(parsed.common.state_folder, "/s");
  EXPECT_EQ(parsed.common.node, "http://h:1");
  EXPECT_EQ(parsed.common.token_file, "/t");
  EXPECT_EQ(parsed.common.output, CommonOptions::Output::kJson);
}

TEST(ArgumentsTest, TheVersionIsPrinted) {
  const Parsed parsed = ParseArguments({"--version"});
  EXPECT_EQ(parsed.exit_status, 0);
  EXPECT_EQ(parsed.text, "hybridserve " HYBRIDSERVE_VERSION "\n");
}

std::string Completion(const std::string& shell) {
  Console console;
  const Parsed parsed = ParseArguments({"completion", shell});
  EXPECT_TRUE(parsed.run && parsed.run(console.session()));
  return console.Out();
}

/// What bash offers at the end of `words`.
std::string BashOffers(const std::string& words) {
  ShellCommand command;
  command.text =
      "exec bash -c 'eval \"$SCRIPT\"; COMP_WORDS=($LINE); [ \"${LINE% }\" = \"$LINE\" ] || "
      "COMP_WORDS+=(\"\"); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _hybridserve; "
      "echo \"${COMPREPLY[@]}\"'";
  command.variables = {{"SCRIPT", Completion("bash")}, {"LINE", words}};
  const Result<ShellResult> result = RunShell(command);
  EXPECT_TRUE(result && result->status == 0);
  return result ? result->output : "";
}

TEST(CompletionTest, BashCompletesCommandsOptionsAndValues) {
  if (FindOnPath("bash").empty()) GTEST_SKIP() << "no bash on this machine";
  EXPECT_EQ(BashOffers("hybridserve de"), "deploy describe\n");
  EXPECT_EQ(BashOffers("hybridserve logs --fo"), "--follow\n");
  EXPECT_EQ(BashOffers("hybridserve new x --lang "), "cpp c go\n");
  EXPECT_EQ(BashOffers("hybridserve completion f"), "fish\n");
}

TEST(CompletionTest, EveryShellsScriptParsesInIt) {
  bool any = false;
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const std::string script = Completion(shell);
    EXPECT_NE(script.find("rollback"), std::string::npos) << shell;
    if (FindOnPath(shell).empty()) continue;
    any = true;
    const TemporaryFolder folder;
    ASSERT_TRUE(WriteFileAtomically(folder.path() / "script", script));
    ShellCommand command;
    command.text = shell + " -n script";
    command.folder = folder.path();
    const Result<ShellResult> result = RunShell(command);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, 0) << shell << ": " << result->output;
  }
  if (!any) GTEST_SKIP() << "no shell with completion on this machine";
}

TEST(ServeTest, TheConfigurationBecomesTheLaunchersCommandLine) {
  ServeOptions options;
  options.settings = {{"--state-folder", "HYBRIDSERVE_NODE_STATE_FOLDER", "/tmp/s"},
                      {"--no-containers", "HYBRIDSERVE_CONTAINER_RUNTIME", "off"},
                      {"--allow-folder", "HYBRIDSERVE_WASM_ALLOWED_FOLDERS", "/srv/a:/srv/b"},
                      {"--held", "HYBRIDSERVE_CONTAINER_HELD", "3"}};
  const auto command = LauncherCommand(options, "/bin/folder");
  ASSERT_TRUE(command) << command.error().message;
  const std::vector<std::string> want = {"/bin/folder/hybridserve-launcher",
                                         "--state-folder",
                                         "/tmp/s",
                                         "--user",
                                         "hybridserve",
                                         "--allow-folder",
                                         "/srv/a",
                                         "--allow-folder",
                                         "/srv/b",
                                         "--containers",
                                         "off",
                                         "--held",
                                         "3",
                                         "--log-level",
                                         "info",
                                         "--",
                                         "/bin/folder/hybridserve-server",
                                         "--config-json"};
  ASSERT_EQ(command->size(), want.size() + 1);
  EXPECT_TRUE(std::equal(want.begin(), want.end(), command->begin()));
  EXPECT_NE(command->back().find("\"/tmp/s\""), std::string::npos);
}

TEST(ServeTest, AWrongFlagIsNamedAsItWasWritten) {
  ServeOptions options;
  options.settings = {{"--held", "HYBRIDSERVE_CONTAINER_HELD", "99"}};
  const auto command = LauncherCommand(options, "/bin");
  ASSERT_FALSE(command);
  EXPECT_EQ(command.error().code, Code::kInvalidArgument);
  EXPECT_TRUE(command.error().message.starts_with("--held: ")) << command.error().message;
}

TEST(ServeTest, AFileThatIsNotThereIsNamed) {
  ServeOptions options;
  options.config = "/nowhere/node.toml";
  const auto command = LauncherCommand(options, "/bin");
  ASSERT_FALSE(command);
  EXPECT_NE(command.error().message.find("/nowhere/node.toml"), std::string::npos);
}

}  // namespace
}  // namespace hybridserve::cli

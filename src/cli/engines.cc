// `hybridserve engines`: the Wasm engines of this installation, asked themselves.
#include "function/engines.h"

#include <algorithm>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/shell.h"
#include "cli/table.h"

namespace hybridserve::cli {
namespace {

constexpr size_t kMaxSaidBytes = 200;

// `text` as one word of a shell command.
std::string ShellWord(std::string_view text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? "'\\''" : std::string(1, c);
  return word + "'";
}

// What the program prints for `verb`: a JSON document on its last line.
Result<Json> Ask(const std::filesystem::path& program, const std::string& verb) {
  TRY_ASSIGN(const ShellResult said, RunShell({.text = ShellWord(program.string()) + " " + verb}));
  std::string text = said.output;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  Json document = Json::parse(text.substr(text.rfind('\n') + 1), nullptr, false);
  if (!document.is_discarded()) return document;
  // The most telling line of one that died is not its first, which names a thread or a file.
  std::ranges::replace(text, '\n', ' ');
  return Fail(Code::kInternal, "ended with status " + std::to_string(said.status) + ": " +
                                   text.substr(0, kMaxSaidBytes));
}

// "ok", or the first thing that does not work.
std::string SelfTestOf(const Json& tests) {
  for (const Json& test : tests) {
    if (test["ok"] != true) return TextAt(test, "/mode") + ": " + TextAt(test, "/error");
  }
  return "ok";
}

// {"engine", "installed", ...}: what `describe` says, with each compiler's self-test, which is a
// process of its own: one that dies says nothing about the others.
Json Look(const EngineNames& names) {
  const std::filesystem::path program = ProgramFolder() / ExecutorProgram(names.name);
  std::error_code ignored;
  if (!std::filesystem::exists(program, ignored)) {
    return {{"engine", names.name}, {"installed", false}};
  }
  const Result<Json> description = Ask(program, "describe");
  if (!description) {
    return {{"engine", names.name}, {"installed", true}, {"error", description.error().message}};
  }
  Json engine = *description;
  engine["installed"] = true;
  for (Json& compiler : engine["compilers"]) {
    const Result<Json> tests = Ask(program, "self-test --compiler " + TextAt(compiler, "/name"));
    compiler["self_test"] = tests ? SelfTestOf(*tests) : tests.error().message;
  }
  return engine;
}

void AddRows(Table& table, const Json& engine) {
  const std::string name = TextAt(engine, "/engine");
  if (engine["installed"] == false) return table.Add({name, "", "", "", "not installed"});
  if (engine.contains("error")) return table.Add({name, "", "", "", TextAt(engine, "/error")});
  for (const Json& compiler : engine["compilers"]) {
    std::string modes;
    for (const Json& mode : compiler["modes"]) {
      modes.append(modes.empty() ? "" : ", ").append(mode.get<std::string>());
    }
    table.Add({name, TextAt(engine, "/version"), TextAt(compiler, "/name"), modes,
               TextAt(compiler, "/self_test")});
  }
}

}  // namespace

Outcome RunEngines(const Session& session) {
  Json engines = Json::array();
  for (const EngineNames& names : KnownEngines()) engines.push_back(Look(names));
  if (session.json()) {
    session.PrintJson({{"engines", engines}});
    return 0;
  }
  Table table({{"ENGINE"}, {"VERSION"}, {"COMPILER"}, {"MODES"}, {"SELF-TEST"}});
  for (const Json& engine : engines) AddRows(table, engine);
  session.terminal.Print(table.Render(session.terminal));
  return 0;
}

}  // namespace hybridserve::cli

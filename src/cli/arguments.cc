#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "function/settings.h"
#include "function/units.h"

namespace hybridserve::cli {
namespace {

constexpr const char* kIntroduction =
    "Runs functions on this machine: each request takes a warm container if there is one, and a\n"
    "WebAssembly sandbox at once if not.\n";

constexpr const char* kFooter =
    "A first function:\n"
    "  hybridserve serve &                      a node on 127.0.0.1:8080\n"
    "  hybridserve new hello --lang cpp         a folder with a function (also: c, go)\n"
    "  hybridserve build hello                  its Wasm module and container image\n"
    "  hybridserve deploy hello\n"
    "  hybridserve invoke hello --data edge -v\n\n"
    "`hybridserve COMMAND --help` has examples. Exit statuses: 0 done, 1 internal, 2 wrong input,\n"
    "3 not found, 4 not allowed, 5 conflict, 6 not possible here, 7 the function failed,\n"
    "8 busy or unreachable, 9 timeout, 10 stored data is damaged.\n";

/// The options of all commands while they are parsed, and what was chosen.
struct State {
  CommonOptions common;
  std::string output = "text";
  ServeOptions serve;
  NewOptions make;
  BuildOptions build;
  DeployOptions deploy;
  InvokeOptions invoke;
  DescribeOptions describe;
  LogsOptions logs;
  RemoveOptions remove;
  RollbackOptions rollback;
  RegistryOptions registry;
  TokenOptions token;
  std::string shell;
  std::function<Outcome(const Session&)> run;
};

/// One command in the making.
class Command {
 public:
  Command(CLI::App& app, State& state, const std::string& name, const std::string& help,
          const std::string& examples)
      : state_(state), command_(*app.add_subcommand(name, help)) {
    command_.footer("Examples:\n" + examples);
  }

  template <typename T>
  CLI::Option* Option(const std::string& names, T& value, const std::string& help) {
    return command_.add_option(names, value, help)->type_name("");
  }
  CLI::Option* Flag(const std::string& names, bool& value, const std::string& help) {
    return command_.add_flag(names, value, help);
  }
  template <typename T>
  CLI::Option* Word(const std::string& name, T& value, const std::string& help) {
    return command_.add_option(name, value, help)->type_name("");
  }

  void HasStateFolder() {
    Option("--state-folder", state_.common.state_folder,
           "State folder of a node on this machine (HYBRIDSERVE_STATE)")
        ->type_name("FOLDER");
  }
  /// The options of a command that talks to a node.
  void TalksToANode() {
    HasStateFolder();
    Option("--node", state_.common.node, "A node elsewhere (HYBRIDSERVE_NODE)")
        ->type_name("https://HOST:PORT");
    Option("--ca", state_.common.ca,
           "Certificates to trust, PEM; default: this machine's (HYBRIDSERVE_CA)")
        ->type_name("FILE");
    Option("--token-file", state_.common.token_file,
           "File with the token for --node (HYBRIDSERVE_TOKEN_FILE; HYBRIDSERVE_TOKEN: the token)")
        ->type_name("FILE");
  }
  void HasOutput() {
    Option("-o,--output", state_.output, "text, or json for programs")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"text", "json"}));
  }
  void Runs(std::function<Outcome(const Session&)> run) {
    command_.callback([this_state = &state_, run = std::move(run)] { this_state->run = run; });
  }

 private:
  State& state_;
  CLI::App& command_;
};

/// A flag of `serve` that stands for a variable of the configuration.
struct ServeFlag {
  const char* flag;
  const char* variable;
  const char* value;  ///< What the flag means; nullptr: it takes a value.
  const char* type;
  const char* help;
};

constexpr ServeFlag kServeFlags[] = {
    {"--state-folder", "HYBRIDSERVE_NODE_STATE_FOLDER", nullptr, "FOLDER",
     "Where the node keeps everything (HYBRIDSERVE_STATE)"},
    {"--listen", "HYBRIDSERVE_GATEWAY_LISTEN", nullptr, "HOST:PORT",
     "Where functions are served [127.0.0.1:8080]; port 0: the system chooses"},
    {"--policy", "HYBRIDSERVE_POLICY_DEFAULT", nullptr, "POLICY",
     "paper (hybrid), wasm-only or container-only"},
    {"--allow-route-header", "HYBRIDSERVE_POLICY_ALLOW_ROUTE_HEADER", "true", "",
     "Let requests choose by HybridServe-Route"},
    {"--containers", "HYBRIDSERVE_CONTAINER_RUNTIME", nullptr, "RUNTIME",
     "Who makes them: auto, native or off [auto]"},
    {"--no-containers", "HYBRIDSERVE_CONTAINER_RUNTIME", "off", "", "Run everything in Wasm"},
    {"--held", "HYBRIDSERVE_CONTAINER_HELD", nullptr, "N", "Sandboxes kept ready for containers"},
    {"--boots", "HYBRIDSERVE_CONTAINER_BOOTS", nullptr, "N", "Containers that start at once"},
    {"--max-containers", "HYBRIDSERVE_CONTAINER_MAX_CONTAINERS", nullptr, "N",
     "Containers on the node at once"},
    {"--wasm-threads", "HYBRIDSERVE_WASM_THREADS", nullptr, "N", "Guests at once in one executor"},
    {"--allow-folder", "HYBRIDSERVE_WASM_ALLOWED_FOLDERS", nullptr, "FOLDER",
     "Host folder that manifests may grant; may be repeated"},
    {"--admin-listen", "HYBRIDSERVE_ADMIN_LISTEN", nullptr, "HOST:PORT",
     "Serve the admin API over TCP too; needs the three that follow"},
    {"--admin-token-file", "HYBRIDSERVE_ADMIN_TOKEN_FILE", nullptr, "FILE",
     "File with hashes of tokens: `hybridserve token FILE` makes it"},
    {"--admin-tls-certificate", "HYBRIDSERVE_ADMIN_TLS_CERTIFICATE", nullptr, "FILE",
     "Its certificate and chain, PEM"},
    {"--admin-tls-key", "HYBRIDSERVE_ADMIN_TLS_KEY", nullptr, "FILE", "The certificate's key, PEM"},
    {"--tls-certificate", "HYBRIDSERVE_GATEWAY_TLS_CERTIFICATE", nullptr, "FILE",
     "Serve functions by https: certificate and chain, PEM"},
    {"--tls-key", "HYBRIDSERVE_GATEWAY_TLS_KEY", nullptr, "FILE", "The certificate's key, PEM"},
    {"--metrics", "HYBRIDSERVE_METRICS_ACCESS", nullptr, "WHO",
     "Who may read /metrics: off, loopback or all"},
    {"--user", "HYBRIDSERVE_NODE_USER", nullptr, "USER", "Whom the server runs as under root"},
    {"--log-level", "HYBRIDSERVE_NODE_LOG_LEVEL", nullptr, "LEVEL",
     "trace, debug, info, warn, error or off"},
};

/// A repeated flag is a list: its values are joined by colons, as the variable wants them.
void AddSetting(ServeOptions& serve, const ServeFlag& flag, const std::string& value) {
  for (auto& setting : serve.settings) {
    if (setting.flag != flag.flag) continue;
    setting.value += ":" + value;
    return;
  }
  serve.settings.push_back({flag.flag, flag.variable, value});
}

void AddServe(CLI::App& app, State& state) {
  CLI::App& command = *app.add_subcommand("serve", "Run a node in the foreground");
  command.footer(
      "Examples:\n"
      "  hybridserve serve\n"
      "  hybridserve serve --state-folder ./state --listen 0.0.0.0:8080 --policy wasm-only\n"
      "  hybridserve serve --config node.toml       every key: docs/configuration.md\n"
      "As root functions get containers; otherwise Wasm alone. SIGTERM ends it gracefully.\n");
  command.add_option("--config", state.serve.config, "Configuration file (TOML)")
      ->type_name("FILE");
  for (const ServeFlag& flag : kServeFlags) {
    const auto set = [&state, &flag](const std::vector<std::string>& values) {
      for (const std::string& value : values) AddSetting(state.serve, flag, value);
      return true;
    };
    if (flag.value == nullptr) {
      const bool list = std::string_view(flag.flag) == "--allow-folder";
      command.add_option(flag.flag, set, flag.help)
          ->type_name(flag.type)
          ->expected(1)
          ->multi_option_policy(list ? CLI::MultiOptionPolicy::TakeAll
                                     : CLI::MultiOptionPolicy::Throw);
    } else {
      command.add_flag_callback(
          flag.flag, [&state, &flag] { AddSetting(state.serve, flag, flag.value); }, flag.help);
    }
  }
  command.callback([&state] {
    state.run = [&state](const Session& session) { return RunServe(state.serve, session); };
  });
}

void AddAuthorCommands(CLI::App& app, State& state) {
  Command make(app, state, "new", "Make a function that builds and deploys as it is",
               "  hybridserve new hello --lang cpp          ./hello, with the C++ SDK\n"
               "  hybridserve new hello --lang go --folder functions/hello\n");
  make.Word("name", state.make.name, "The function's name: a-z, 0-9, '-', '_'")->required();
  make.Option("-l,--lang", state.make.language, "cpp, c or go")
      ->required()
      ->type_name("LANGUAGE")
      ->check(CLI::IsMember({"cpp", "c", "go"}));
  make.Option("--folder", state.make.folder, "Where; default ./NAME")->type_name("FOLDER");
  make.HasOutput();
  make.Runs([&state](const Session& session) { return RunNew(state.make, session); });

  Command build(app, state, "build", "Build a function's Wasm module and container image",
                "  hybridserve build                         the function in this folder\n"
                "  hybridserve build functions/hello -v      show what the compilers print\n");
  build.Word("path", state.build.path, "A function's folder or function.toml [.]");
  build.Flag("-v,--verbose", state.build.verbose, "Show the build commands and their output");
  build.Option("--base", state.build.base, "Of its images only that on scratch or debian")
      ->type_name("BASE");
  build.HasOutput();
  build.Runs([&state](const Session& session) { return RunBuild(state.build, session); });

  Command deploy(app, state, "deploy", "Make what was built the function's live revision",
                 "  hybridserve deploy                        the function in this folder\n"
                 "  hybridserve deploy functions/hello\n"
                 "  hybridserve deploy hello --node https://10.0.0.7:9090 --token-file token\n"
                 "Requests in flight finish on the old revision; none is dropped.\n");
  deploy.Word("path", state.deploy.path, "A function's folder or function.toml [.]");
  deploy.Option("--base", state.deploy.base, "Its image on scratch or debian [container.base]")
      ->type_name("BASE");
  deploy.TalksToANode();
  deploy.HasOutput();
  deploy.Runs([&state](const Session& session) { return RunDeploy(state.deploy, session); });
}

void AddInvoke(CLI::App& app, State& state) {
  InvokeOptions& options = state.invoke;
  Command invoke(app, state, "invoke", "Send one request to a function",
                 "  hybridserve invoke hello --data edge\n"
                 "  hybridserve invoke image_processing --data @photo.jpg > out.jpg\n"
                 "  hybridserve invoke hello --path '/a/b?name=x' -H 'Accept: text/plain' -v\n"
                 "  hybridserve invoke hello --route wasm     where the node allows it\n"
                 "An answer of 400 and above ends it with the exit status of its kind.\n");
  invoke.Word("name", options.name, "The function")->required();
  invoke.Option("-d,--data", options.data, "The body; @FILE reads a file, @- standard input")
      ->type_name("TEXT");
  invoke.Option("-X,--method", options.method, "GET without data, POST with")->type_name("METHOD");
  invoke.Option("-p,--path", options.path, "Path and query below the function")->type_name("PATH");
  invoke.Option("-H,--header", options.headers, "A header, 'Name: value'; may be repeated")
      ->type_name("HEADER")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  invoke.Option("--route", options.route, "wasm, container, or a policy")->type_name("ROUTE");
  invoke.Option("--gateway", options.gateway, "Where functions are served; default: ask the node")
      ->type_name("http(s)://HOST:PORT");
  invoke
      .Option("--key-file", options.key_file,
              "File with a key of the function (HYBRIDSERVE_KEY: the key)")
      ->type_name("FILE");
  invoke.Flag("-v,--verbose", options.verbose, "Show where it ran and how long each phase took");
  invoke.TalksToANode();
  invoke.HasOutput();
  invoke.Runs([&state](const Session& session) { return RunInvoke(state.invoke, session); });
}

void AddNodeCommands(CLI::App& app, State& state) {
  Command list(app, state, "list", "List the functions of a node",
               "  hybridserve list\n"
               "  hybridserve list --output json\n");
  list.TalksToANode();
  list.HasOutput();
  list.Runs([](const Session& session) { return RunList(session); });

  Command describe(app, state, "describe", "Show one function: revisions, limits, what is warm",
                   "  hybridserve describe hello\n");
  describe.Word("name", state.describe.name, "The function")->required();
  describe.TalksToANode();
  describe.HasOutput();
  describe.Runs([&state](const Session& s) { return RunDescribe(state.describe, s); });

  Command logs(app, state, "logs", "Show what a function wrote to its standard error",
               "  hybridserve logs hello --tail 20\n"
               "  hybridserve logs -f hello                 until Ctrl-C\n");
  logs.Word("name", state.logs.name, "The function")->required();
  logs.Flag("-f,--follow", state.logs.follow, "Go on with each line as it comes");
  logs.Option("-n,--tail", state.logs.tail, "Begin with the last N lines [100]")
      ->type_name("N")
      ->check(CLI::Range(0, 100000));
  logs.TalksToANode();
  logs.HasOutput();
  logs.Runs([&state](const Session& session) { return RunLogs(state.logs, session); });

  Command remove(app, state, "remove", "Take functions out of service",
                 "  hybridserve remove hello\n");
  remove.Word("names", state.remove.names, "The functions")->required();
  remove.TalksToANode();
  remove.HasOutput();
  remove.Runs([&state](const Session& session) { return RunRemove(state.remove, session); });

  Command rollback(app, state, "rollback", "Make an earlier revision the live one",
                   "  hybridserve rollback hello                the one before\n"
                   "  hybridserve rollback hello --to 3\n");
  rollback.Word("name", state.rollback.name, "The function")->required();
  rollback.Option("--to", state.rollback.to, "A revision's number (see describe)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  rollback.TalksToANode();
  rollback.HasOutput();
  rollback.Runs([&state](const Session& s) { return RunRollback(state.rollback, s); });
}

void AddRegistry(CLI::App& app, State& state) {
  Command registry(
      app, state, "registry", "Check a stopped node's registry, or restore it",
      "  hybridserve registry check                registry, its copy, every blob\n"
      "  hybridserve registry restore              put the copy back if it is damaged\n"
      "  hybridserve registry restore FILE         put back a copy of your own\n"
      "What a node acknowledged is in the copy, STATE/server/registry.db.bak.\n");
  registry.Word("action", state.registry.action, "check or restore")
      ->required()
      ->check(CLI::IsMember({"check", "restore"}));
  registry.Word("file", state.registry.file, "A registry to restore [the node's own copy]");
  registry.HasStateFolder();
  registry.HasOutput();
  registry.Runs([&state](const Session& s) { return RunRegistry(state.registry, s); });
}

Outcome PrintCompletion(const std::string& shell, const Session& session) {
  TRY_ASSIGN(const std::string script, CompletionScript(shell, DescribeCommands()));
  session.terminal.Print(script);
  return 0;
}

void AddOwnCommands(CLI::App& app, State& state) {
  Command completion(app, state, "completion", "Print a completion script for a shell",
                     "  source <(hybridserve completion bash)\n"
                     "  hybridserve completion zsh > ~/.zfunc/_hybridserve\n"
                     "  hybridserve completion fish | source\n");
  completion.Word("shell", state.shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion.Runs([&state](const Session& s) { return PrintCompletion(state.shell, s); });

  Command token(app, state, "token", "Make a token of the admin API, or a key of a function",
                "  hybridserve token /etc/hybridserve/tokens --name ci > token\n"
                "  hybridserve token                         prints the line for the file, too\n"
                "The node keeps the hash only; it takes a changed file within a second or two.\n");
  token.Word("file", state.token.file, "The node's key file: gets the hash");
  token.Option("-n,--name", state.token.name, "Whose it is, for the file and the log")
      ->type_name("NAME");
  token.HasOutput();
  token.Runs([&state](const Session& session) { return RunToken(state.token, session); });

  Command engines(app, state, "engines", "List this installation's Wasm engines and try each",
                  "  hybridserve engines\n");
  engines.HasOutput();
  engines.Runs([](const Session& session) { return RunEngines(session); });

  Command version(app, state, "version", "Show the version of this program and of the node",
                  "  hybridserve version\n");
  version.TalksToANode();
  version.HasOutput();
  version.Runs([](const Session& session) { return RunVersion(session); });
}

std::unique_ptr<CLI::App> MakeApp(State& state) {
  auto app = std::make_unique<CLI::App>(kIntroduction, "hybridserve");
  app->footer(kFooter);
  app->require_subcommand(1);
  app->set_version_flag("--version", "hybridserve " HYBRIDSERVE_VERSION);
  AddServe(*app, state);
  AddAuthorCommands(*app, state);
  AddInvoke(*app, state);
  AddNodeCommands(*app, state);
  AddRegistry(*app, state);
  AddOwnCommands(*app, state);
  return app;
}

/// Options whose values are a few words, for completion.
std::vector<std::string> ChoicesOf(const std::string& option) {
  if (option == "--output") return {"text", "json"};
  if (option == "--lang") return {"cpp", "c", "go"};
  if (option == "--policy") return {"paper", "wasm-only", "container-only"};
  if (option == "--route") return {"wasm", "container", "paper"};
  if (option == "--metrics") return {"off", "loopback", "all"};
  if (option == "--log-level") return {"trace", "debug", "info", "warn", "error", "off"};
  return {};
}

CommandDescription Describe(const CLI::App& command) {
  CommandDescription description;
  description.name = command.get_name();
  description.help = command.get_description();
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional()) {
      const std::string name = option->get_name(true);
      if (name == "path" || name == "file") description.argument = Argument::kPath;
      const bool function = name.starts_with("name") && description.name != "new";
      if (function) description.argument = Argument::kFunction;
      if (name == "shell") description.choices = {"bash", "zsh", "fish"};
      if (name == "action") description.choices = {"check", "restore"};
      continue;
    }
    OptionDescription entry;
    for (const std::string& name : option->get_lnames()) {
      entry.names.push_back("--" + name);
      entry.choices = ChoicesOf(entry.names.back());
    }
    for (const std::string& name : option->get_snames()) entry.names.push_back("-" + name);
    entry.help = option->get_description();
    entry.takes_value = option->get_items_expected_max() > 0;
    description.options.push_back(std::move(entry));
  }
  return description;
}

/// What to say about a first word that is no command; empty when it is one, or an option.
std::string UnknownCommand(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  if (word.starts_with('-') || std::ranges::find(names, word) != names.end()) return "";
  const auto nearest = Nearest(word, std::vector<std::string_view>(names.begin(), names.end()));
  return "hybridserve: there is no command " + Quote(word) +
         (nearest ? "; did you mean '" + std::string(*nearest) + "'?" : "") +
         "\n`hybridserve --help` lists them.\n";
}

}  // namespace

Parsed ParseArguments(std::vector<std::string> words) {
  const auto state = std::make_shared<State>();
  const std::unique_ptr<CLI::App> app = MakeApp(*state);
  Parsed parsed;
  parsed.exit_status = 2;
  if (words.empty()) {
    parsed.text = app->help();
    return parsed;
  }
  parsed.text = UnknownCommand(*app, words.front());
  if (!parsed.text.empty()) return parsed;
  std::ranges::reverse(words);  // CLI11 takes them from the back.
  try {
    app->parse(words);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream err;
    parsed.exit_status = app->exit(error, out, err) == 0 ? 0 : 2;
    parsed.text = parsed.exit_status == 0 ? out.str() : "hybridserve: " + err.str();
    return parsed;
  }
  parsed.common = state->common;
  if (state->output == "json") parsed.common.output = CommonOptions::Output::kJson;
  // The options live in `state`, which the commands refer to.
  parsed.run = [state, run = state->run](const Session& session) { return run(session); };
  return parsed;
}

std::vector<CommandDescription> DescribeCommands() {
  State state;
  const std::unique_ptr<CLI::App> app = MakeApp(state);
  std::vector<CommandDescription> commands;
  for (const CLI::App* command : app->get_subcommands({})) commands.push_back(Describe(*command));
  return commands;
}

}  // namespace hybridserve::cli

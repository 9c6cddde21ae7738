#include "cli/completion.h"

#include <algorithm>

namespace hybridserve::cli {
namespace {

/// How every script asks for the names of the node's functions.
constexpr std::string_view kFunctionNames =
    "hybridserve list --output json 2>/dev/null | sed -n 's/^ *\"name\": "
    "\"\\(.*\\)\",\\{0,1\\}$/\\1/p'";

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// In single quotes, for any of the shells.
std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string OptionNames(const CommandDescription& command) {
  std::string text;
  for (const OptionDescription& option : command.options) {
    text += (text.empty() ? "" : " ") + Joined(option.names);
  }
  return text;
}

std::string Alternatives(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : "|") + name;
  return text;
}

std::string BashWords(const CommandDescription& command) {
  if (!command.choices.empty()) return "compgen -W " + Quoted(Joined(command.choices));
  switch (command.argument) {
    case Argument::kFunction:
      return "compgen -W \"$(" + std::string(kFunctionNames) + ")\"";
    case Argument::kPath:
      return "compgen -f";
    case Argument::kNone:
      break;
  }
  return "compgen -W ''";
}

std::string Bash(const std::vector<CommandDescription>& commands) {
  std::vector<std::string> names;
  std::string cases;
  std::string values;
  for (const CommandDescription& command : commands) {
    names.push_back(command.name);
    cases += "    " + command.name +
             ")\n      case \"$current\" in\n        -*) COMPREPLY=( $(compgen -W " +
             Quoted(OptionNames(command)) + " -- \"$current\") ) ;;\n        *) COMPREPLY=( $(" +
             BashWords(command) + " -- \"$current\") ) ;;\n      esac ;;\n";
    for (const OptionDescription& option : command.options) {
      if (!option.takes_value) continue;
      values += "    " + command.name + ":" + Alternatives(option.names).replace(0, 0, "") + ") ";
      values += option.choices.empty()
                    ? "COMPREPLY=( $(compgen -f -- \"$current\") ); return ;;\n"
                    : "COMPREPLY=( $(compgen -W " + Quoted(Joined(option.choices)) +
                          " -- \"$current\") ); return ;;\n";
    }
  }
  return "# bash completion for hybridserve; load it with\n"
         "#   source <(hybridserve completion bash)\n"
         "_hybridserve() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
         "  local command=\"${COMP_WORDS[1]}\"\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
         "    COMPREPLY=( $(compgen -W " +
         Quoted(Joined(names)) +
         " -- \"$current\") )\n"
         "    return\n"
         "  fi\n"
         "  case \"$command:$previous\" in\n" +
         values +
         "  esac\n"
         "  case \"$command\" in\n" +
         cases +
         "  esac\n"
         "}\n"
         "complete -o filenames -F _hybridserve hybridserve\n";
}

/// Help inside of zsh's "[...]" may have no brackets and colons.
std::string ZshHelp(std::string help) {
  std::ranges::replace(help, '[', '(');
  std::ranges::replace(help, ']', ')');
  std::ranges::replace(help, ':', ';');
  return help;
}

std::string ZshOption(const OptionDescription& option) {
  std::string text;
  for (const std::string& name : option.names) {
    std::string spec = name + "[" + ZshHelp(option.help) + "]";
    if (option.takes_value) {
      spec += ":value:";
      spec += option.choices.empty() ? "_files" : "(" + Joined(option.choices) + ")";
    }
    text += " " + Quoted(spec);
  }
  return text;
}

std::string ZshWords(const CommandDescription& command) {
  if (!command.choices.empty()) return " '*:word:(" + Joined(command.choices) + ")'";
  switch (command.argument) {
    case Argument::kFunction:
      return " '*:function:_hybridserve_functions'";
    case Argument::kPath:
      return " '*:path:_files'";
    case Argument::kNone:
      break;
  }
  return "";
}

std::string Zsh(const std::vector<CommandDescription>& commands) {
  std::string list;
  std::string cases;
  for (const CommandDescription& command : commands) {
    list += "    " + Quoted(command.name + ":" + ZshHelp(command.help)) + "\n";
    cases += "    " + command.name + ") _arguments";
    for (const OptionDescription& option : command.options) cases += ZshOption(option);
    cases += ZshWords(command) + " ;;\n";
  }
  return "#compdef hybridserve\n"
         "# zsh completion for hybridserve; put it into a folder of $fpath as _hybridserve:\n"
         "#   hybridserve completion zsh > ~/.zfunc/_hybridserve\n"
         "_hybridserve_functions() {\n"
         "  local -a names\n"
         "  names=(${(f)\"$(" +
         std::string(kFunctionNames) +
         ")\"})\n"
         "  compadd -a names\n"
         "}\n"
         "_hybridserve() {\n"
         "  local -a commands=(\n" +
         list +
         "  )\n"
         "  if (( CURRENT == 2 )); then\n"
         "    _describe command commands\n"
         "    return\n"
         "  fi\n"
         "  shift words\n"
         "  (( CURRENT-- ))\n"
         "  case $words[1] in\n" +
         cases +
         "  esac\n"
         "}\n"
         "_hybridserve \"$@\"\n";
}

std::string FishOption(const std::string& command, const OptionDescription& option) {
  std::string line = "complete -c hybridserve -n '__fish_seen_subcommand_from " + command + "'";
  for (const std::string& name : option.names) {
    const bool is_long = name.starts_with("--");
    line += (is_long ? " -l " : " -s ") + name.substr(is_long ? 2 : 1);
  }
  if (option.takes_value) line += option.choices.empty() ? " -r -F" : " -x -a ";
  if (!option.choices.empty()) line += Quoted(Joined(option.choices));
  return line + " -d " + Quoted(option.help) + "\n";
}

std::string Fish(const std::vector<CommandDescription>& commands) {
  std::string text =
      "# fish completion for hybridserve; load it with\n"
      "#   hybridserve completion fish | source\n"
      "complete -c hybridserve -f\n";
  for (const CommandDescription& command : commands) {
    text += "complete -c hybridserve -n __fish_use_subcommand -a " + command.name + " -d " +
            Quoted(command.help) + "\n";
    const std::string seen =
        "complete -c hybridserve -n '__fish_seen_subcommand_from " + command.name + "'";
    if (!command.choices.empty()) {
      text += seen + " -a " + Quoted(Joined(command.choices)) + "\n";
    } else if (command.argument == Argument::kFunction) {
      text += seen + " -a \"(" + std::string(kFunctionNames) + ")\"\n";
    } else if (command.argument == Argument::kPath) {
      text += seen + " -F\n";
    }
    for (const OptionDescription& option : command.options) {
      text += FishOption(command.name, option);
    }
  }
  return text;
}

}  // namespace

Result<std::string> CompletionScript(std::string_view shell,
                                     const std::vector<CommandDescription>& commands) {
  if (shell == "bash") return Bash(commands);
  if (shell == "zsh") return Zsh(commands);
  if (shell == "fish") return Fish(commands);
  return Fail(Code::kInvalidArgument,
              "there is no completion for '" + std::string(shell) + "'; use bash, zsh or fish");
}

}  // namespace hybridserve::cli

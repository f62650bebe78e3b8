#include "tools/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <vector>

#include "base/text.h"
#include "tools/command.h"
#include "tools/command_line.h"
#include "tools/options.h"

namespace vernier::tools {
namespace {

using recipes::Arity;
using recipes::Option;
using recipes::ValueKind;

// "Calibrate, export and validate as the recipe says", of a longer text.
std::string FirstSentence(std::string_view text) {
  const std::string_view first = text.substr(0, text.find(". "));
  return std::string(first.ends_with('.') ? first.substr(0, first.size() - 1) : first);
}

// The subcommands that take `option`; none when all do.
std::vector<std::string> CommandsOf(const Option& option) {
  std::vector<std::string> names;
  for (const Command& command : Commands()) {
    if (option.TakenBy(command.name)) names.emplace_back(command.name);
  }
  return names;
}

std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const Command& command : Commands()) {
    if (!command.hidden) names.emplace_back(command.name);
  }
  return names;
}

std::vector<std::string> AllCommandNames() {
  std::vector<std::string> names;
  for (const Command& command : Commands()) names.emplace_back(command.name);
  return names;
}

bool TakesMany(const Option& option) {
  return option.arity == Arity::kMany || option.arity == Arity::kCommas;
}

// --- bash ---

// What completes a value; empty: nothing does.
std::string BashAction(const Option& option) {
  if (option.kind == ValueKind::kName) {
    return fmt::format("_vernier_words \"{}\"", JoinNames(option.names, " "));
  }
  if (option.kind == ValueKind::kDirectory) return "_vernier_paths -d";
  return option.IsPath() ? "_vernier_paths -f" : "";
}

// "run:--samples|plan:--samples": where the value of `option` begins.
std::string BashPattern(const Option& option) {
  if (option.TakenBy(kProgram)) return "*:" + option.name;
  std::vector<std::string> places;
  for (const std::string& command : CommandsOf(option))
    places.push_back(command + ":" + option.name);
  return JoinNames(places, "|");
}

std::string BashValues(bool many) {
  std::string cases;
  for (const Option& option : Options()) {
    if (!option.IsFlag() || option.kind == ValueKind::kFlag) continue;
    if (many && !TakesMany(option)) continue;
    cases += fmt::format("    {}) {}return ;;\n", BashPattern(option),
                         BashAction(option).empty() ? "" : BashAction(option) + "; ");
  }
  return cases;
}

std::string FlagNames(std::string_view command) {
  std::vector<std::string> names;
  for (const std::string_view owner : {command, kProgram}) {
    for (const Option* option : OptionsOf(owner)) {
      if (option->IsFlag()) names.push_back(option->name);
    }
  }
  names.emplace_back("--help");
  return JoinNames(names, " ");
}

// The arguments of a subcommand without flags: completed alike, as most are paths of one kind.
std::string BashArguments(std::string_view command) {
  for (const Option* option : OptionsOf(command)) {
    if (option->IsPositional()) return BashAction(*option);
  }
  return "";
}

std::string BashCommands() {
  std::string cases;
  for (const Command& command : Commands()) {
    const std::string arguments = BashArguments(command.name);
    cases += fmt::format("    {}) flags=\"{}\"; {};;\n", command.name, FlagNames(command.name),
                         arguments.empty() ? "" : "arguments='" + arguments + "' ");
  }
  return cases;
}

std::string BashScript() {
  return fmt::format(
      R"(# bash completion of vernier, printed by `vernier completion bash`.
_vernier_words() {{
  COMPREPLY=($(compgen -W "$1" -- "$cur"))
}}

_vernier_paths() {{
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}}

_vernier() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
  local command= last= flags= arguments= i
  COMPREPLY=()
  # readline takes --flag=value apart.
  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${{COMP_WORDS[COMP_CWORD-2]}}; fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${{COMP_WORDS[i]}} in
      {}) [[ -n $command ]] || command=${{COMP_WORDS[i]}} ;;
      --*) last=${{COMP_WORDS[i]}} ;;
    esac
  done
  case $command:$prev in
{}  esac
  if [[ $cur != -* ]]; then
    case $command:$last in
{}    esac
  fi
  case $command in
    "") flags="{} --version"; arguments='_vernier_words "{}"' ;;
{}  esac
  if [[ $cur == -* ]]; then _vernier_words "$flags"; else eval "$arguments"; fi
}}

complete -F _vernier vernier
)",
      JoinNames(AllCommandNames(), "|"), BashValues(/*many=*/false), BashValues(/*many=*/true),
      FlagNames(""), JoinNames(CommandNames(), " "), BashCommands());
}

// --- zsh ---

// Within a specification of _arguments or _describe.
std::string ZshText(std::string_view text) {
  std::string escaped;
  for (const char letter : text) {
    if (letter == ':' || letter == '[' || letter == ']' || letter == '\\') escaped += '\\';
    escaped += letter;
  }
  return escaped;
}

std::string ZshAction(const Option& option) {
  if (option.kind == ValueKind::kName) return fmt::format("({})", JoinNames(option.names, " "));
  if (option.kind == ValueKind::kDirectory) return "_files -/";
  return option.IsPath() ? "_files" : " ";
}

std::string ZshFlag(const Option& option) {
  std::string spec = option.excludes.empty() ? "" : "(" + option.excludes + ")";
  if (option.arity != Arity::kOne) spec += "*";
  spec += fmt::format("{}[{}]", option.name, ZshText(option.help));
  if (option.kind != ValueKind::kFlag) {
    spec += fmt::format(":{}:{}", ZshText(ValueText(option)), ZshAction(option));
  }
  return spec;
}

std::vector<std::string> ZshSpecs(std::string_view command) {
  std::vector<std::string> specs;
  int position = 0;
  for (const Option* option : OptionsOf(command)) {
    specs.push_back(option->IsFlag()
                        ? ZshFlag(*option)
                        : fmt::format("{}:{}:{}", ++position, option->name, ZshAction(*option)));
  }
  specs.emplace_back("--help[Print the options]");
  return specs;
}

std::string Quoted(const std::vector<std::string>& words, std::string_view indent) {
  std::string text;
  for (const std::string& word : words) text += fmt::format(" \\\n{}{}", indent, ShellQuote(word));
  return text;
}

std::string ZshCommands() {
  std::string cases;
  for (const Command& command : Commands()) {
    cases += fmt::format("        {})\n          _arguments{} ;;\n", command.name,
                         Quoted(ZshSpecs(command.name), "            "));
  }
  return cases;
}

std::string ZshScript() {
  std::vector<std::string> described;
  for (const Command& command : Commands()) {
    if (command.hidden) continue;
    described.push_back(
        fmt::format("{}:{}", command.name, ZshText(FirstSentence(command.summary))));
  }
  std::vector<std::string> specs = ZshSpecs(kProgram);
  specs.emplace_back("--version[Print the version]");
  specs.emplace_back("1:command:->command");
  specs.emplace_back("*::argument:->arguments");
  return fmt::format(
      R"(#compdef vernier
# zsh completion of vernier, printed by `vernier completion zsh`.
_vernier() {{
  local context state state_descr line
  typeset -A opt_args
  _arguments -C{}
  case $state in
    command)
      local -a commands=({}
      )
      _describe command commands ;;
    arguments)
      case $words[1] in
{}      esac ;;
  esac
}}

if [[ $funcstack[1] == _vernier ]]; then
  _vernier "$@"
else
  compdef _vernier vernier
fi
)",
      Quoted(specs, "    "), Quoted(described, "        "), ZshCommands());
}

// --- fish ---

std::string FishQuote(std::string_view text) {
  std::string quoted = "'";
  for (const char letter : text) {
    if (letter == '\'' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return quoted + "'";
}

// Arguments of `complete` for the values of `option`.
std::string FishAction(const Option& option) {
  if (option.kind == ValueKind::kName) {
    return " -x -a " + FishQuote(JoinNames(option.names, " "));
  }
  if (option.kind == ValueKind::kDirectory) return " -x -a '(__fish_complete_directories)'";
  return option.IsPath() ? " -r -F" : " -x";
}

std::string FishOption(const Option& option) {
  std::string line = "complete -c vernier";
  if (!option.TakenBy(kProgram)) {
    line += fmt::format(" -n '__fish_seen_subcommand_from {}'", JoinNames(CommandsOf(option), " "));
  }
  if (option.IsFlag()) line += " -l " + option.name.substr(2);
  if (option.kind != ValueKind::kFlag) line += FishAction(option);
  return line + fmt::format(" -d {}\n", FishQuote(option.help));
}

std::string FishScript() {
  std::string script =
      "# fish completion of vernier, printed by `vernier completion fish`.\ncomplete -c vernier "
      "-f\n";
  for (const Command& command : Commands()) {
    if (command.hidden) continue;
    script += fmt::format("complete -c vernier -n __fish_use_subcommand -a {} -d {}\n",
                          command.name, FishQuote(FirstSentence(command.summary)));
  }
  script += "complete -c vernier -l help -d 'Print the options'\n";
  script += "complete -c vernier -n __fish_use_subcommand -l version -d 'Print the version'\n";
  for (const Option& option : Options()) {
    if (!option.name.empty()) script += FishOption(option);
  }
  return script;
}

}  // namespace

std::string CompletionScript(std::string_view shell) {
  if (shell == "bash") return BashScript();
  if (shell == "zsh") return ZshScript();
  assert(shell == "fish");
  return FishScript();
}

}  // namespace vernier::tools

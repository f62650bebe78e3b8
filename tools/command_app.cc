#include "tools/command_app.h"

#include <fmt/format.h>

#include <memory>
#include <sstream>
#include <vector>

#include "tools/command.h"
#include "tools/options.h"

namespace vernier::tools {
namespace {

using recipes::Arity;
using recipes::Option;

constexpr size_t kHelpWidth = 100;

// Thrown by an option that wants nothing else, before the rest is asked for.
struct CommandAlone {
  std::string command;
};

// Help in columns: long texts go on below themselves.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    return Row(make_option_name(option, is_positional) + make_option_opts(option),
               make_option_desc(option));
  }
  std::string make_subcommand(const CLI::App* command) const override {
    return Row(command->get_name(), command->get_description());
  }

 private:
  std::string Row(const std::string& name, const std::string& text) const {
    const size_t column = get_column_width();
    std::string row = "  " + name;
    row = row.size() + 1 < column ? row + std::string(column - row.size(), ' ')
                                  : row + "\n" + std::string(column, ' ');
    size_t used = column;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
      if (used > column && used + 1 + word.size() > kHelpWidth) {
        row += "\n" + std::string(column, ' ');
        used = column;
      }
      if (used > column) row += ' ', ++used;
      row += word;
      used += word.size();
    }
    return row + "\n";
  }
};

// What stands behind an option's name in the help.
std::string HelpValue(const Option& option, std::string_view command) {
  std::string text = ValueText(option);
  if (const std::string standard = DefaultText(option, command); !standard.empty()) {
    text += fmt::format(" [{}]", standard);
  }
  if (option.required) text += " REQUIRED";
  if (!option.excludes.empty()) text += " Excludes: " + option.excludes;
  if (!option.needs.empty()) text += " Needs: " + option.needs;
  return text;
}

void SetArity(CLI::Option& added, Arity arity) {
  if (arity == Arity::kCommas) added.delimiter(',');
  if (arity == Arity::kOne || arity == Arity::kRepeated) added.expected(1)->allow_extra_args(false);
  if (arity == Arity::kRepeated) added.multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void AddFlag(CLI::App& app, const Option& option, std::string_view command, GivenValues& given) {
  app.add_flag_callback(
      option.name,
      [&option, &given, command] {
        given[option.name] = {"true"};
        if (option.alone) throw CommandAlone{std::string(command)};
      },
      option.help);
}

void AddValue(CLI::App& app, const Option& option, std::string_view command, GivenValues& given) {
  CLI::Option* added = app.add_option(option.name, given[option.name], option.help);
  SetArity(*added, option.arity);
  added->required(option.required)->option_text(HelpValue(option, command));
  added->check([&option](const std::string& text) { return ProblemOf(option, text); });
}

// The options that `names`, which spaces separate, name.
std::vector<CLI::Option*> Named(CLI::App& app, const std::string& names) {
  std::vector<CLI::Option*> found;
  std::istringstream words(names);
  for (std::string name; words >> name;) found.push_back(app.get_option(name));
  return found;
}

void AddOptions(CLI::App& app, std::string_view command, GivenValues& given) {
  const std::vector<const Option*> options = OptionsOf(command);
  for (const Option* option : options) {
    if (option->kind == recipes::ValueKind::kFlag) {
      AddFlag(app, *option, command, given);
    } else {
      AddValue(app, *option, command, given);
    }
    if (const std::string group = GroupOf(*option, command); !group.empty()) {
      app.get_option(option->name)->group(group);
    }
  }
  for (const Option* option : options) {
    CLI::Option* added = app.get_option(option->name);
    for (CLI::Option* other : Named(app, option->excludes)) added->excludes(other);
    for (CLI::Option* other : Named(app, option->needs)) added->needs(other);
  }
}

}  // namespace

void BuildApp(CLI::App& app, GivenByCommand& given) {
  app.description(std::string(kProgramSummary));
  app.formatter(std::make_shared<HelpFormatter>());
  app.name(std::string(kProgram));
  app.require_subcommand(1);
  app.fallthrough();
  AddOptions(app, kProgram, given[std::string(kProgram)]);
  for (const Command& command : Commands()) {
    const std::string name(command.name);
    CLI::App* added = app.add_subcommand(name, std::string(command.summary));
    if (command.hidden) added->group("");
    AddOptions(*added, command.name, given[name]);
  }
}

std::string ParseCommandLine(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CommandAlone& alone) {
    return alone.command;
  }
  return app.get_subcommands().front()->get_name();
}

}  // namespace vernier::tools

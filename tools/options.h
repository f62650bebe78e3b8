// The whole table of options: what subcommands alone know, and what replaces a recipe's fields
// (recipes/options.h). Help, the manual, completions and docs/options.md follow from it.
#ifndef VERNIER_TOOLS_OPTIONS_H_
#define VERNIER_TOOLS_OPTIONS_H_

#include <string>
#include <string_view>
#include <vector>

#include "recipes/option.h"

namespace vernier::tools {

// Where options of the program itself, before or behind any subcommand, are said to be taken.
inline constexpr std::string_view kProgram = "vernier";

// In the order of the help.
const std::vector<recipes::Option>& Options();

// The options that `command` takes; positional ones in their order.
std::vector<const recipes::Option*> OptionsOf(std::string_view command);

// Which value `option` has in `command` when it is not given; empty: none, or the recipe's.
std::string DefaultText(const recipes::Option& option, std::string_view command);

// What stands behind the name of `option`: "N", "stop|clamp", "PATH ..."; empty for a flag.
std::string ValueText(const recipes::Option& option);

// The heading under which help lists `option` of `command`; empty: the usual one.
std::string GroupOf(const recipes::Option& option, std::string_view command);

// "SRC QUANTISED": the positional arguments of `command`.
std::string PositionalText(std::string_view command);

// Help and details of an option as whole sentences.
std::string Sentences(const recipes::Option& option);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_OPTIONS_H_

// Completion scripts for shells, made of the tables of subcommands and options.
#ifndef VERNIER_TOOLS_COMPLETION_H_
#define VERNIER_TOOLS_COMPLETION_H_

#include <string>
#include <string_view>

namespace vernier::tools {

// The script of "bash", "zsh" or "fish": subcommands, their options, names of values, paths.
std::string CompletionScript(std::string_view shell);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_COMPLETION_H_

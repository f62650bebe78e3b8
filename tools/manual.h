// Pages about the command, made of the tables of subcommands and options.
#ifndef VERNIER_TOOLS_MANUAL_H_
#define VERNIER_TOOLS_MANUAL_H_

#include <string>
#include <string_view>

namespace vernier::tools {

// vernier.1, in groff's man macros.
std::string ManualPage(std::string_view version);

// docs/options.md.
std::string OptionsPage();

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_MANUAL_H_

// The rows of options that belong to subcommands alone. To add one: a row, and its use in the
// subcommand's file. An option that replaces a recipe's field is a row in recipes/.
#ifndef VERNIER_TOOLS_OPTION_ROWS_H_
#define VERNIER_TOOLS_OPTION_ROWS_H_

#include <vector>

#include "recipes/option.h"

namespace vernier::tools {

std::vector<recipes::Option> MakeCommandOptions();

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_OPTION_ROWS_H_

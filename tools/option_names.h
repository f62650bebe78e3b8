// Names of values that only the command line has.
#ifndef VERNIER_TOOLS_OPTION_NAMES_H_
#define VERNIER_TOOLS_OPTION_NAMES_H_

#include <array>

#include "recipes/recipe_values.h"
#include "tools/progress_writer.h"

namespace vernier::tools {

inline constexpr std::array<recipes::ValueName<ProgressStyle>, 5> kProgressStyles = {{
    {"auto", ProgressStyle::kAuto},
    {"bar", ProgressStyle::kBar},
    {"plain", ProgressStyle::kPlain},
    {"json", ProgressStyle::kJson},
    {"none", ProgressStyle::kNone},
}};
// Whether inputs of linear layers are quantised.
inline constexpr std::array<recipes::ValueName<bool>, 2> kActivationChoices = {{
    {"plain", false},
    {"quantised", true},
}};

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_OPTION_NAMES_H_

// What several subcommands read from their arguments, or print alike.
#ifndef VERNIER_TOOLS_READ_SPEC_H_
#define VERNIER_TOOLS_READ_SPEC_H_

#include <string>

#include "base/json.h"
#include "jobs/forward_spec.h"
#include "recipes/recipe.h"
#include "tools/arguments.h"

namespace vernier::tools {

// The recipe that RECIPE asks for with the options that replace its fields; `runs` and errors as
// recipes::FindRecipe.
recipes::Recipe ReadRecipe(const Arguments& arguments, bool runs = true);

// How a model runs forward without being calibrated.
jobs::ForwardSpec ReadForwardSpec(const Arguments& arguments);

// Prints `text`, or with --json the JSON, which goes to the file of --out as well.
void PrintOrWriteJson(const Arguments& arguments, const Json& json, const std::string& text);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_READ_SPEC_H_

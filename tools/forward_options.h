// Options of the subcommands that run a model forward without calibrating it.
#ifndef VERNIER_TOOLS_FORWARD_OPTIONS_H_
#define VERNIER_TOOLS_FORWARD_OPTIONS_H_

#include <CLI/CLI.hpp>

#include "jobs/forward_spec.h"

namespace vernier::tools {

void AddForwardOptions(CLI::App& command, jobs::ForwardSpec& options);

// --activations quantised|plain into a flag.
void AddActivationsOption(CLI::App& command, bool& quantize);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_FORWARD_OPTIONS_H_

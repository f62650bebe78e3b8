// Options of the subcommands that run a model forward without calibrating it.
#ifndef VERNIER_TOOLS_FORWARD_OPTIONS_H_
#define VERNIER_TOOLS_FORWARD_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>

#include "recipes/recipe.h"

namespace vernier::tools {

struct ForwardOptions {
  std::string dtype = "bfloat16";  // or "float32"
  std::string device = "cpu";
  std::string device_memory = {}, host_memory = {};  // sizes such as "8GiB"; empty: chosen
  int64_t batch_size = 0;
  int threads = 0;
};

void AddForwardOptions(CLI::App& command, ForwardOptions& options);

// --activations quantised|plain into a flag.
void AddActivationsOption(CLI::App& command, bool& quantize);

// The parts of a recipe that the loop and its budget read, for `samples` sequences of
// `sequence_length` tokens. kBadArgument for a size that is none.
recipes::Recipe ForwardRecipe(const ForwardOptions& options, const std::filesystem::path& source,
                              int64_t samples, int64_t sequence_length);

recipes::ComputeDtype ToComputeDtype(std::string_view name);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_FORWARD_OPTIONS_H_

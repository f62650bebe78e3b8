#include "tools/recipe_options.h"

namespace vernier::tools {

void AddRecipeOptions(CLI::App& command, RecipeOptions& options) {
  command.add_option("RECIPE", options.path, "The recipe: a JSON file, comments allowed")
      ->required();
  const auto add = [&](const char* flag, auto& value, const char* type, const char* description) {
    command.add_option(flag, value, description)
        ->type_name(type)
        ->group("Instead of the recipe's fields");
  };
  recipes::Overrides& given = options.overrides;
  add("--source", given.source, "DIR", "Released checkpoint to read");
  add("--output", given.output, "DIR", "Where export writes the checkpoint");
  add("--run-dir", given.run_dir, "DIR", "Calibration store and activation checkpoints");
  add("--data", given.data, "PATH ...",
      "Calibration data in place of the recipe's: JSONL, Parquet or text files, or directories");
  add("--device", given.device, "DEVICE", "cpu, cuda or cuda:N");
  add("--device-memory", given.device_memory, "SIZE",
      "For weights and batches on the device, e.g. 8GiB; 0: 80 % of what is free");
  add("--host-memory", given.host_memory, "SIZE",
      "For hidden states, above which they go to disk; 0: half of what is free");
  add("--stream-memory", given.stream_memory, "SIZE",
      "For source and output data that an export holds at a time");
  add("--threads", given.threads, "N", "CPU threads; 0: one per core");
  add("--save-interval", given.save_interval, "SECONDS",
      "Work inside a layer that a crash may cost; 0: only the batch or experts in flight");
  add("--non-finite", given.non_finite, "stop|clamp",
      "What happens when a weight or an activation is NaN or infinite");
  add("--kv-cache", given.kv_cache, "none|fp8|fp8_cast",
      "How engines keep keys and values: fp8 with calibrated scales, fp8_cast with scales of 1");
  add("--samples", given.samples, "N", "Calibration sequences");
  add("--sequence-length", given.sequence_length, "N", "Tokens of each sequence");
  add("--batch-size", given.batch_size, "N", "Sequences at a time; 0: as many as fit, up to 8");
  add("--seed", given.seed, "N", "Seed of the choice and order of samples");
}

recipes::Recipe LoadRecipe(const RecipeOptions& options) {
  recipes::Recipe recipe = recipes::LoadRecipe(options.path);
  recipes::ApplyOverrides(options.overrides, recipe);
  return recipe;
}

}  // namespace vernier::tools

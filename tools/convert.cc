// vernier convert and dequantize: weights alone, without calibration and without libtorch.
#include "jobs/convert.h"

#include <CLI/CLI.hpp>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "export/layout_packs.h"
#include "recipes/recipe_values.h"
#include "tools/command.h"
#include "tools/command_line.h"
#include "tools/progress_writer.h"
#include "tools/run_summary.h"

namespace vernier::tools {
namespace {

void AddPlaces(CLI::App& command, jobs::ConversionPlaces& places) {
  command.add_option("SOURCE", places.source, "Checkpoint to read")->required();
  command.add_option("OUTPUT", places.output, "Directory to write")->required();
  command.add_option("--run-dir", places.run_dir,
                     "Where finished shards are recorded, so that the same command continues; "
                     "OUTPUT.run by default");
  command.add_option("--stream-memory", places.stream_memory,
                     "For source and output data held at a time, e.g. 512MiB; 1GiB by default");
  command
      .add_option("--non-finite", places.non_finite,
                  "What happens when a weight is NaN or infinite: stop or clamp")
      ->type_name("stop|clamp");
  command.add_option("--threads", places.threads, "CPU threads; 0: one per core")
      ->check(CLI::NonNegativeNumber);
}

// The specification, with names where it has values.
struct ConvertOptions {
  jobs::ConvertSpec spec;
  std::string weights = "nvfp4", method = "auto", dialect = "modelopt";
  std::vector<std::string> layouts;
};

template <typename T, size_t N>
CLI::Validator OneOf(const std::array<recipes::ValueName<T>, N>& names) {
  std::vector<std::string> allowed;
  for (const auto& row : names) allowed.emplace_back(row.name);
  return CLI::IsMember(allowed);
}

void AddConvertOptions(CLI::App& command, ConvertOptions& options) {
  AddPlaces(command, options.spec.places);
  CLI::Option* recipe = command.add_option("--recipe", options.spec.recipe,
                                           "Recipe whose rules say what becomes of which weight");
  const auto add = [&](const char* flag, auto& value, const char* description) {
    return command.add_option(flag, value, description)
        ->excludes(recipe)
        ->group("Without a recipe");
  };
  add("--weights", options.weights, "Format of the weights")
      ->check(OneOf(recipes::kTargetFormats))
      ->capture_default_str();
  add("--method", options.method, "How scales are chosen")
      ->check(OneOf(recipes::kScaleMethods))
      ->capture_default_str();
  add("--dialect", options.dialect, "Whose names and config")
      ->check(OneOf(recipes::kDialects))
      ->capture_default_str();
  add("--input-scale", options.spec.input_scale,
      "Write this input scale for every weight; without it activations stay in 16 bits (W4A16)");
  add("--importance", options.spec.importance,
      "Safetensors file with a weight per input channel for --method mse");
  command
      .add_option("--layout", options.layouts,
                  "Also write NVFP4 scales as kernels want them, into OUTPUT/kernel_layouts: " +
                      JoinNames(exporter::KernelLayoutNames(), ", "))
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      .add_option("--kv-cache", options.spec.places.kv_cache,
                  "How engines keep keys and values: fp8_cast announces FP8 with scales of 1")
      ->type_name("none|fp8_cast");
  command.add_flag("--validate", options.spec.validate, "Audit the result against the source");
}

void Convert(const ConvertOptions& options, const CommandContext& context) {
  jobs::ConvertSpec spec = options.spec;
  spec.weights = ValueOf(recipes::kTargetFormats, options.weights);
  spec.method = ValueOf(recipes::kScaleMethods, options.method);
  spec.dialect = ValueOf(recipes::kDialects, options.dialect);
  for (const std::string& name : options.layouts) {
    spec.layouts.push_back(exporter::KernelLayoutFromName(name));
  }
  spec.command = RepeatableCommand(context.argv);
  ProgressWriter progress(context.progress);
  FinishPipeline(jobs::Convert(spec, progress));
}

void Dequantize(const jobs::ConversionPlaces& places, const CommandContext& context) {
  ProgressWriter progress(context.progress);
  FinishPipeline(
      jobs::Dequantize({.places = places, .command = RepeatableCommand(context.argv)}, progress));
}

}  // namespace

void AddConvertCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "convert",
      "Convert weights, reading and writing each once, in bounded memory. Needs no calibration "
      "and no libtorch. The same command continues after an interruption.");
  auto options = std::make_shared<ConvertOptions>();
  AddConvertOptions(*command, *options);
  command->callback([&context, options] { Convert(*options, context); });
}

void AddDequantizeCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "dequantize", "Write every quantised weight of a checkpoint as BF16, and the rest as it is.");
  auto places = std::make_shared<jobs::ConversionPlaces>();
  AddPlaces(*command, *places);
  command->callback([&context, places] { Dequantize(*places, context); });
}

}  // namespace vernier::tools

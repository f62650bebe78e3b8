// vernier convert and dequantize: weights alone, without calibration and without libtorch.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/source_model.h"
#include "export/layout_packs.h"
#include "recipes/convert_recipe.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "recipes/recipe_values.h"
#include "tools/command.h"
#include "tools/pipeline.h"

namespace vernier::tools {
namespace {

// What both commands take.
struct Places {
  std::string source, output, run_dir, stream_memory;
  std::optional<std::string> non_finite, kv_cache;
  int threads = 0;
};

void AddPlaces(CLI::App& command, Places& places) {
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

struct ConvertOptions {
  Places places;
  std::string recipe;
  std::string weights = "nvfp4", method = "auto", dialect = "modelopt", importance;
  std::optional<double> input_scale;
  std::vector<std::string> layouts;
  bool validate = false;
};

template <typename T, size_t N>
CLI::Validator OneOf(const std::array<recipes::ValueName<T>, N>& names) {
  std::vector<std::string> allowed;
  for (const auto& row : names) allowed.emplace_back(row.name);
  return CLI::IsMember(allowed);
}

void AddConvertOptions(CLI::App& command, ConvertOptions& options) {
  AddPlaces(command, options.places);
  CLI::Option* recipe = command.add_option("--recipe", options.recipe,
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
  add("--input-scale", options.input_scale,
      "Write this input scale for every weight; without it activations stay in 16 bits (W4A16)");
  add("--importance", options.importance,
      "Safetensors file with a weight per input channel for --method mse");
  command
      .add_option("--layout", options.layouts,
                  "Also write NVFP4 scales as kernels want them, into OUTPUT/kernel_layouts: " +
                      JoinNames(exporter::KernelLayoutNames(), ", "))
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      .add_option("--kv-cache", options.places.kv_cache,
                  "How engines keep keys and values: fp8_cast announces FP8 with scales of 1")
      ->type_name("none|fp8_cast");
  command.add_flag("--validate", options.validate, "Audit the result against the source");
}

recipes::Overrides PlaceOverrides(const Places& places) {
  recipes::Overrides overrides;
  overrides.source = places.source;
  overrides.output = places.output;
  if (!places.run_dir.empty()) overrides.run_dir = places.run_dir;
  if (!places.stream_memory.empty()) overrides.stream_memory = places.stream_memory;
  overrides.non_finite = places.non_finite;
  overrides.kv_cache = places.kv_cache;
  if (places.threads > 0) overrides.threads = places.threads;
  return overrides;
}

// The recipe with this command's places; its own run directory would belong to its own output.
recipes::Recipe RecipeFromFile(const ConvertOptions& options) {
  recipes::Recipe recipe = recipes::LoadRecipe(options.recipe);
  recipe.default_run_dir = true;
  recipes::ApplyOverrides(PlaceOverrides(options.places), recipe);
  if (recipe.kv_cache == recipes::KvCache::kFp8) {
    throw Error(ErrorCode::kBadArgument, "--recipe",
                options.recipe + " asks for calibrated scales of the key/value cache",
                "Use `vernier run`, or --kv-cache fp8_cast or none");
  }
  if (!recipes::ObservesInputs(recipe)) return recipe;
  throw Error(ErrorCode::kBadArgument, "--recipe",
              options.recipe + " asks for calibrated input scales",
              "Use `vernier run`, or set the recipe's activations to \"none\" or a number");
}

recipes::Recipe RecipeFromFlags(const ConvertOptions& options,
                                const checkpoint::SourceModel& source) {
  recipes::ConvertRequest request{.source = source,
                                  .output = options.places.output,
                                  .run_dir = options.places.run_dir,
                                  .weights = ValueOf(recipes::kTargetFormats, options.weights),
                                  .scale = ValueOf(recipes::kScaleMethods, options.method),
                                  .dialect = ValueOf(recipes::kDialects, options.dialect),
                                  .importance = options.importance};
  if (options.input_scale) {
    request.activations = recipes::ActivationScales::kConstant;
    request.constant_input_scale =
        recipes::ParseInputScale(*options.input_scale, {ErrorCode::kBadArgument, "--input-scale"});
  }
  recipes::Recipe recipe = recipes::ConvertRecipe(request);
  recipes::ApplyOverrides(PlaceOverrides(options.places), recipe);
  return recipe;
}

// No engine loads a checkpoint without config.json, and there would be nothing to describe it in.
checkpoint::SourceModel OpenWithConfig(const std::filesystem::path& directory) {
  checkpoint::SourceModel source = checkpoint::OpenAnySourceModel(directory);
  if (!source.checkpoint.config().empty()) return source;
  throw Error(ErrorCode::kBadConfig, (directory / "config.json").string(), "is absent or empty",
              "Fetch the whole checkpoint");
}

std::vector<exporter::KernelLayout> KernelLayouts(const ConvertOptions& options) {
  std::vector<exporter::KernelLayout> layouts;
  for (const std::string& name : options.layouts) {
    layouts.push_back(exporter::KernelLayoutFromName(name));
  }
  return layouts;
}

// Whether the output will have NVFP4 weights; with `role`, in that role.
bool WillHaveNvfp4(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                   std::optional<checkpoint::Role> role) {
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const checkpoint::LogicalWeight& weight = source.layout.weights[i];
    const recipes::TargetFormat format = plan.weights[i].format;
    const bool stays =
        format == recipes::TargetFormat::kKeep && weight.format == checkpoint::WeightFormat::kNvfp4;
    if (!stays && format != recipes::TargetFormat::kNvfp4) continue;
    if (!role || weight.role == *role) return true;
  }
  return false;
}

// Before anything is converted.
void CheckKernelLayouts(const checkpoint::SourceModel& source, const recipes::Recipe& recipe,
                        const std::vector<exporter::KernelLayout>& layouts) {
  if (layouts.empty()) return;
  const recipes::Plan plan = recipes::MakePlan(source, recipe);
  for (const exporter::KernelLayout layout : layouts) {
    const bool experts = layout == exporter::KernelLayout::kMegaMoe;
    const std::optional<checkpoint::Role> role =
        experts ? std::optional(checkpoint::Role::kRoutedExpert) : std::nullopt;
    if (WillHaveNvfp4(source, plan, role)) continue;
    throw Error(ErrorCode::kBadArgument,
                fmt::format("--layout {}", exporter::KernelLayoutName(layout)),
                experts ? "no routed expert becomes NVFP4" : "no weight becomes NVFP4",
                "Leave it out, or choose --weights nvfp4");
  }
}

void WriteKernelLayouts(const std::filesystem::path& output,
                        const std::vector<exporter::KernelLayout>& layouts) {
  const checkpoint::SourceModel written = checkpoint::OpenAnySourceModel(output);
  for (const exporter::KernelLayout layout : layouts) {
    const exporter::PackSummary summary = exporter::WriteLayoutPacks(written, layout);
    fmt::print("layout       {}: {} files", exporter::KernelLayoutName(layout), summary.files);
    if (summary.fold.scales > 0) {
      fmt::print(", {} scales folded, {} rounded, {} of them to zero",
                 HumanCount(static_cast<uint64_t>(summary.fold.scales)),
                 HumanCount(static_cast<uint64_t>(summary.fold.inexact)),
                 HumanCount(static_cast<uint64_t>(summary.fold.vanished)));
    }
    fmt::print("\n");
  }
}

void RefuseCalibratedCache(const ConvertOptions& options) {
  if (options.places.kv_cache != "fp8") return;
  throw Error(ErrorCode::kBadArgument, "--kv-cache fp8",
              "its scales come from a calibration, and a conversion makes none",
              "Use `vernier run` with a recipe, or --kv-cache fp8_cast");
}

void Convert(const ConvertOptions& options, const CommandContext& context) {
  RefuseCalibratedCache(options);
  const std::vector<exporter::KernelLayout> layouts = KernelLayouts(options);
  checkpoint::SourceModel source = OpenWithConfig(options.places.source);
  const recipes::Recipe recipe =
      options.recipe.empty() ? RecipeFromFlags(options, source) : RecipeFromFile(options);
  CheckKernelLayouts(source, recipe, layouts);
  std::vector<Step> steps = {Step::kExport};
  if (options.validate) steps.push_back(Step::kValidate);
  std::function<void()> afterwards;
  if (!layouts.empty()) afterwards = [&] { WriteKernelLayouts(recipe.output, layouts); };
  RunPipeline(std::move(source), recipe, steps, context, afterwards);
}

void Dequantize(const Places& places, const CommandContext& context) {
  checkpoint::SourceModel source = OpenWithConfig(places.source);
  recipes::Recipe recipe = recipes::DequantizeRecipe(source, places.output);
  recipes::ApplyOverrides(PlaceOverrides(places), recipe);
  RunPipeline(std::move(source), recipe, {Step::kExport}, context);
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
  auto places = std::make_shared<Places>();
  AddPlaces(*command, *places);
  command->callback([&context, places] { Dequantize(*places, context); });
}

}  // namespace vernier::tools

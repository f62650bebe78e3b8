#include "jobs/convert.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "base/error.h"
#include "checkpoint/source_model.h"
#include "recipes/convert_recipe.h"
#include "recipes/plan.h"
#include "recipes/recipe_values.h"

namespace vernier::jobs {
namespace {

recipes::Overrides PlaceOverrides(const ConversionPlaces& places) {
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
recipes::Recipe RecipeFromFile(const ConvertSpec& spec) {
  recipes::Recipe recipe = recipes::LoadRecipe(spec.recipe);
  recipe.default_run_dir = true;
  recipes::ApplyOverrides(PlaceOverrides(spec.places), recipe);
  if (recipe.kv_cache == recipes::KvCache::kFp8) {
    throw Error(ErrorCode::kBadArgument, "--recipe",
                spec.recipe + " asks for calibrated scales of the key/value cache",
                "Use `vernier run`, or --kv-cache fp8_cast or none");
  }
  if (!recipes::ObservesInputs(recipe)) return recipe;
  throw Error(ErrorCode::kBadArgument, "--recipe",
              spec.recipe + " asks for calibrated input scales",
              "Use `vernier run`, or set the recipe's activations to \"none\" or a number");
}

recipes::Recipe RecipeFromFlags(const ConvertSpec& spec, const checkpoint::SourceModel& source) {
  recipes::ConvertRequest request{.source = source,
                                  .output = spec.places.output,
                                  .run_dir = spec.places.run_dir,
                                  .weights = spec.weights,
                                  .scale = spec.method,
                                  .dialect = spec.dialect,
                                  .importance = spec.importance};
  if (spec.input_scale) {
    request.activations = recipes::ActivationScales::kConstant;
    request.constant_input_scale =
        recipes::ParseInputScale(*spec.input_scale, {ErrorCode::kBadArgument, "--input-scale"});
  }
  recipes::Recipe recipe = recipes::ConvertRecipe(request);
  recipes::ApplyOverrides(PlaceOverrides(spec.places), recipe);
  return recipe;
}

// No engine loads a checkpoint without config.json, and there would be nothing to describe it in.
checkpoint::SourceModel OpenWithConfig(const std::filesystem::path& directory) {
  checkpoint::SourceModel source = checkpoint::OpenAnySourceModel(directory);
  if (!source.checkpoint.config().empty()) return source;
  throw Error(ErrorCode::kBadConfig, (directory / "config.json").string(), "is absent or empty",
              "Fetch the whole checkpoint");
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

void RefuseCalibratedCache(const ConvertSpec& spec) {
  if (spec.places.kv_cache != "fp8") return;
  throw Error(ErrorCode::kBadArgument, "--kv-cache fp8",
              "its scales come from a calibration, and a conversion makes none",
              "Use `vernier run` with a recipe, or --kv-cache fp8_cast");
}

}  // namespace

PipelineSummary Convert(const ConvertSpec& spec, ProgressListener& listener) {
  RefuseCalibratedCache(spec);
  checkpoint::SourceModel source = OpenWithConfig(spec.places.source);
  const recipes::Recipe recipe =
      spec.recipe.empty() ? RecipeFromFlags(spec, source) : RecipeFromFile(spec);
  CheckKernelLayouts(source, recipe, spec.layouts);
  PipelineSpec job = {
      .recipe = recipe, .steps = {Step::kExport}, .layouts = spec.layouts, .command = spec.command};
  if (spec.validate) job.steps.push_back(Step::kValidate);
  return RunPipeline(std::move(source), job, /*models=*/nullptr, listener);
}

PipelineSummary Dequantize(const DequantizeSpec& spec, ProgressListener& listener) {
  checkpoint::SourceModel source = OpenWithConfig(spec.places.source);
  recipes::Recipe recipe = recipes::DequantizeRecipe(source, spec.places.output);
  recipes::ApplyOverrides(PlaceOverrides(spec.places), recipe);
  return RunPipeline(std::move(source),
                     {.recipe = recipe, .steps = {Step::kExport}, .command = spec.command},
                     /*models=*/nullptr, listener);
}

}  // namespace vernier::jobs

#include "jobs/convert.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "base/error.h"
#include "checkpoint/source_model.h"
#include "recipes/convert_recipe.h"
#include "recipes/plan.h"
#include "recipes/recipe_values.h"
#include "recipes/shipped.h"

namespace vernier::jobs {
namespace {

recipes::Overrides AllOverrides(const ConversionPlaces& places) {
  recipes::Overrides all = {{"/source", places.source, "SOURCE"},
                            {"/output", places.output, "OUTPUT"}};
  all.insert(all.end(), places.overrides.begin(), places.overrides.end());
  return all;
}

// The recipe with this command's places; its own run directory would belong to its own output.
recipes::Recipe RecipeFromFile(const ConvertSpec& spec) {
  recipes::Overrides overrides = AllOverrides(spec.places);
  if (recipes::FindOverride(overrides, "/run_dir") == nullptr) {
    overrides.push_back(
        {"/run_dir", recipes::DefaultRunDirectory(spec.places.output).string(), "OUTPUT.run"});
  }
  recipes::Recipe recipe =
      recipes::FindRecipe({.recipe = spec.recipe, .overrides = overrides, .runs = false});
  if (!recipes::ObservesInputs(recipe)) return recipe;
  throw Error(ErrorCode::kBadArgument, "--recipe",
              spec.recipe + " asks for calibrated scales, and a conversion calibrates nothing",
              "Use `vernier run`, or set activations to \"none\" or a number, and export.kv_cache "
              "(--kv-cache) to fp8_cast or none");
}

recipes::Recipe RecipeFromFlags(const ConvertSpec& spec, const checkpoint::SourceModel& source) {
  const recipes::ConvertRequest request{.source = source,
                                        .output = spec.places.output,
                                        .weights = spec.weights,
                                        .scale = spec.method,
                                        .dialect = spec.dialect};
  recipes::Recipe recipe = recipes::ConvertRecipe(request);
  recipes::ApplyOverrides(AllOverrides(spec.places), recipe);
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
    const checkpoint::Format format = plan.weights[i].format;
    const bool stays = format == recipes::kKeep && weight.format == checkpoint::formats::kNvfp4;
    if (!stays && format != checkpoint::formats::kNvfp4) continue;
    if (!role || weight.role == *role) return true;
  }
  return false;
}

// Before anything is converted.
void CheckKernelLayouts(const checkpoint::SourceModel& source, const recipes::Recipe& recipe,
                        const std::vector<exporter::KernelLayout>& layouts) {
  if (layouts.empty()) return;
  const recipes::Plan plan = recipes::MakePlan(source, recipe);
  if (plan.container->holds_all()) {
    throw Error(
        ErrorCode::kBadArgument, "--layout",
        fmt::format("is not for the dialect {}, which has a layout of its own", plan.dialect->name),
        "Leave it out, or choose another dialect");
  }
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

}  // namespace

PipelineSummary Convert(const ConvertSpec& spec, ProgressListener& listener) {
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
  recipes::ApplyOverrides(AllOverrides(spec.places), recipe);
  return RunPipeline(std::move(source),
                     {.recipe = recipe, .steps = {Step::kExport}, .command = spec.command},
                     /*models=*/nullptr, listener);
}

}  // namespace vernier::jobs

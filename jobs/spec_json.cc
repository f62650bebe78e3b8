#include "jobs/spec_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "audit/engines/tensor_parallel.h"
#include "base/error.h"
#include "jobs/spec_reader.h"
#include "recipes/options.h"
#include "recipes/overrides.h"
#include "recipes/recipe_values.h"
#include "recipes/shipped.h"

namespace vernier::jobs {
namespace {

using recipes::ValueName;

constexpr std::array<ValueName<bool>, 2> kActivations = {{{"plain", false}, {"quantised", true}}};
constexpr std::array<ValueName<datasets::WindowBos>, 3> kWindowBos = {
    {{"auto", datasets::WindowBos::kAuto},
     {"yes", datasets::WindowBos::kYes},
     {"no", datasets::WindowBos::kNo}}};
const std::vector<std::string> kDtypes = {"float32", "bfloat16"};
const std::vector<std::string> kVariants = {"weights", "weights+activations"};

int ReadTensorParallel(SpecReader& reader) {
  int size = 1;
  reader.Read("tensor_parallel", size);
  if (std::ranges::find(audit::kTensorParallelSizes, size) != audit::kTensorParallelSizes.end()) {
    return size;
  }
  throw Error(ErrorCode::kBadArgument, "\"tensor_parallel\" of validate",
              fmt::format("is {}", size), "Give 1, 2, 4 or 8");
}

// "run_dir" for "--run-dir".
std::string FieldName(const recipes::Option& option) {
  std::string name = option.name.substr(2);
  std::ranges::replace(name, '-', '_');
  return name;
}

// The values that stand in place of a recipe's fields: those that the subcommand `job` takes as
// options.
recipes::Overrides ReadOverrides(SpecReader& reader, std::string_view job) {
  recipes::Overrides overrides;
  for (const recipes::Option& option : recipes::RecipeOptions()) {
    if (!option.IsFlag() || !option.TakenBy(job) || !option.ReplacesField()) continue;
    const std::string field = FieldName(option);
    if (const Json* value = reader.Find(field)) {
      overrides.push_back({.pointer = option.pointer,
                           .value = *value,
                           .said_as = fmt::format("\"{}\" of {}", field, job)});
    }
  }
  return overrides;
}

void ReadPlaces(SpecReader& reader, std::string_view job, ConversionPlaces& places) {
  reader.Require("source", places.source);
  reader.Require("output", places.output);
  places.overrides = ReadOverrides(reader, job);
}

void ReadForward(SpecReader& reader, ForwardSpec& forward) {
  reader.ReadAmong("dtype", kDtypes, forward.dtype);
  reader.Read("device", forward.device);
  reader.Read("device_memory", forward.device_memory);
  reader.Read("host_memory", forward.host_memory);
  reader.Read("expert_input_scale", kExpertInputScales, forward.expert_input_scale);
  reader.Read("batch_size", forward.batch_size);
  reader.Read("threads", forward.threads);
}

// A recipe says these itself.
void RefuseBesideRecipe(const SpecReader& reader) {
  if (!reader.Has("recipe")) return;
  for (const char* field : {"weights", "method", "dialect", "input_scale", "importance"}) {
    if (!reader.Has(field)) continue;
    throw Error(ErrorCode::kBadArgument, fmt::format("\"{}\" of convert", field),
                "stands beside a recipe, which says it already", "Leave one of them out");
  }
}

// What a recipe is asked for by (recipes::RecipeRequest) or, relative to the current directory, the
// recipe itself; without one, the default of the source.
recipes::Recipe RecipeOf(const Json* recipe, const recipes::Overrides& overrides, bool runs) {
  if (recipe == nullptr) return recipes::FindDefaultRecipe(overrides, runs);
  if (recipe->is_string()) {
    return recipes::FindRecipe(
        {.recipe = recipe->get<std::string>(), .overrides = overrides, .runs = runs});
  }
  return recipes::ParseRecipe(recipe->dump(), std::filesystem::current_path() / "recipe",
                              overrides);
}

}  // namespace

RecipeJobSpec ReadRecipeJob(const Json& spec, std::string_view job) {
  SpecReader reader(spec, job);
  RecipeJobSpec result;
  const Json* recipe = reader.FindRecipe("recipe");
  const recipes::Overrides overrides = ReadOverrides(reader, job);
  if (job != "calibrate") reader.Read("eval", result.evaluation_data);
  reader.Read("command", result.command);
  reader.Finish();
  result.recipe = RecipeOf(recipe, overrides, /*runs=*/true);
  return result;
}

PlanSpec ReadPlanSpec(const Json& spec) {
  SpecReader reader(spec, "plan");
  const Json* recipe = reader.FindRecipe("recipe");
  const recipes::Overrides overrides = ReadOverrides(reader, "plan");
  std::string command;  // as of any recipe's job, and nothing is noted of a plan
  bool probe = false;
  reader.Read("command", command);
  reader.Read("probe", probe);
  reader.Finish();
  return {.recipe = RecipeOf(recipe, overrides, /*runs=*/false),
          .speed_from = probe ? SpeedFrom::kProbe : SpeedFrom::kUsual};
}

std::filesystem::path ReadInspectSpec(const Json& spec) {
  SpecReader reader(spec, "inspect");
  std::filesystem::path checkpoint;
  reader.Require("checkpoint", checkpoint);
  reader.Finish();
  return checkpoint;
}

std::filesystem::path ReadRecipesSpec(const Json& spec) {
  SpecReader reader(spec, "recipes");
  std::filesystem::path checkpoint;
  reader.Read("checkpoint", checkpoint);
  reader.Finish();
  return checkpoint;
}

ConvertSpec ReadConvertSpec(const Json& spec) {
  SpecReader reader(spec, "convert");
  ConvertSpec result;
  std::vector<std::string> layouts;
  ReadPlaces(reader, "convert", result.places);
  reader.Read("recipe", result.recipe);
  reader.Read("weights", recipes::FormatNames(), result.weights);
  reader.Read("method", recipes::kScaleMethods, result.method);
  reader.Read("dialect", recipes::DialectNames(), result.dialect);
  reader.Read("layouts", layouts);
  reader.Read("validate", result.validate);
  reader.Read("command", result.command);
  reader.Finish();
  RefuseBesideRecipe(reader);
  for (const std::string& name : layouts) {
    result.layouts.push_back(exporter::KernelLayoutFromName(name));
  }
  return result;
}

DequantizeSpec ReadDequantizeSpec(const Json& spec) {
  SpecReader reader(spec, "dequantize");
  DequantizeSpec result;
  ReadPlaces(reader, "dequantize", result.places);
  reader.Read("command", result.command);
  reader.Finish();
  return result;
}

ValidateSpec ReadValidateSpec(const Json& spec) {
  SpecReader reader(spec, "validate");
  ValidateSpec result;
  reader.Require("checkpoint", result.directory);
  reader.Read("source", result.source);
  reader.Read("engine", result.engine);
  result.tensor_parallel = ReadTensorParallel(reader);
  reader.Read("full", result.full);
  reader.Read("journal", result.journal);
  reader.Read("report", result.page);
  reader.Finish();
  return result;
}

ReportSpec ReadReportSpec(const Json& spec) {
  SpecReader reader(spec, "report");
  ReportSpec result;
  reader.Require("run", result.run);
  reader.Read("out", result.out);
  reader.Finish();
  return result;
}

std::filesystem::path ReadAmaxSpec(const Json& spec) {
  SpecReader reader(spec, "amax");
  std::filesystem::path run;
  reader.Require("run", run);
  reader.Finish();
  return run;
}

EvalSpec ReadEvalSpec(const Json& spec) {
  SpecReader reader(spec, "eval");
  EvalSpec result;
  reader.Require("checkpoint", result.checkpoint);
  reader.Read("reference", result.reference);
  reader.Read("data", result.data);
  reader.Read("input_ids", result.input_ids);
  reader.Read("tokenizer", result.tokenizer);
  reader.Read("window", result.windows.window);
  reader.Read("stride", result.windows.stride);
  reader.Read("windows", result.windows.max_windows);
  reader.Read("bos", kWindowBos, result.windows.bos);
  reader.Read("chat_format", recipes::kChatFormats, result.windows.chat_format);
  reader.Read("column", result.windows.column);
  reader.ReadAmong("variants", kVariants, result.variants);
  ReadForward(reader, result.forward);
  reader.Finish();
  return result;
}

GenerateSpec ReadGenerateSpec(const Json& spec) {
  SpecReader reader(spec, "generate");
  GenerateSpec result;
  reader.Require("checkpoint", result.checkpoint);
  reader.Require("prompts", result.prompts);
  reader.Read("tokens", result.tokens);
  reader.Read("activations", kActivations, result.quantize_activations);
  reader.Read("tokenizer", result.tokenizer);
  ReadForward(reader, result.forward);
  reader.Finish();
  return result;
}

LayerTestSpec ReadLayerTestSpec(const Json& spec) {
  SpecReader reader(spec, "layertest");
  LayerTestSpec result;
  reader.Require("source", result.source);
  reader.Require("quantised", result.quantized);
  reader.Require("layer", result.layer);
  reader.Read("recipe", result.recipe);
  reader.Read("input_ids", result.input_ids);
  reader.Read("expert_input_scale", kExpertInputScales, result.expert_input_scale);
  result.overrides = ReadOverrides(reader, "layertest");
  reader.Finish();
  return result;
}

TraceSpec ReadTraceSpec(const Json& spec) {
  SpecReader reader(spec, "trace");
  TraceSpec result;
  reader.Require("source", result.source);
  reader.Require("input_ids", result.input_ids);
  reader.Read("out", result.out);
  reader.Read("perplexity", result.perplexity);
  reader.Read("activations", kActivations, result.quantize_activations);
  ReadForward(reader, result.forward);
  reader.Finish();
  return result;
}

}  // namespace vernier::jobs

#include "recipes/convert_recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "recipes/recipe_check.h"
#include "recipes/recipe_values.h"
#include "recipes/source_convention.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

using checkpoint::Container;
using checkpoint::LogicalWeight;
using checkpoint::Role;
using checkpoint::SourceModel;

Rule DequantizeRule() {
  Rule rule;
  rule.name_glob = "*";
  rule.format = formats::kBf16;
  return rule;
}

bool IsConverted(std::span<const Role> roles, const LogicalWeight& weight) {
  return weight.quantisable() && std::ranges::find(roles, weight.role) != roles.end();
}

// Whether some weight would stay quantised in a convention that the dialect does not have.
bool LeavesForeignWeights(const ConvertRequest& request, std::span<const Role> roles) {
  return std::ranges::any_of(request.source.layout.weights, [&](const LogicalWeight& weight) {
    return !IsConverted(roles, weight) && IsQuantised(weight) &&
           &dialects::DialectOf(request.source, weight) != request.dialect;
  });
}

constexpr size_t kNamesShown = 3;

// The first few linear layers, so that a reader sees which names were not recognised.
std::string LinearNames(const SourceModel& source) {
  std::vector<std::string> names;
  size_t all = 0;
  for (const LogicalWeight& weight : source.layout.weights) {
    if (!weight.linear) continue;
    if (++all <= kNamesShown) names.push_back(weight.module);
  }
  if (all == 0) return "none";
  const size_t more = all - names.size();
  return JoinNames(names) + (more > 0 ? fmt::format(" and {} more", more) : std::string());
}

[[noreturn]] void ThrowNothing(const SourceModel& source, const std::string& problem,
                               const std::string& remedy) {
  throw Error(ErrorCode::kNothingToConvert, source.checkpoint.directory().string(), problem,
              remedy);
}

bool HasQuantised(const SourceModel& source) {
  return std::ranges::any_of(source.layout.weights,
                             [](const LogicalWeight& weight) { return IsQuantised(weight); });
}

void RequireQuantised(const SourceModel& source) {
  if (HasQuantised(source)) return;
  ThrowNothing(source, "none of its weights is quantised, so that there is nothing to dequantise",
               "Use it as it is");
}

// Engines and tools expect experts one by one or in stacks; half a conversion is none.
void RefuseStackedExperts(const SourceModel& source) {
  const auto stack = std::ranges::find_if(source.layout.weights, &LogicalWeight::stacks_experts);
  if (stack == source.layout.weights.end()) return;
  throw Error(ErrorCode::kUnsupportedFormat, stack->name,
              "holds all experts of a layer in one tensor, which is not converted",
              "Save the model with one tensor per expert, or convert its other layers alone with a "
              "recipe (--recipe) whose rules leave routed_expert out");
}

// What a rule for a whole role gives its weights: MXFP4 where the container cannot hold NVFP4 of
// all of them.
Format FormatForRole(const ConvertRequest& request, Role role) {
  if (request.weights != formats::kNvfp4) return request.weights;
  const Container& container = request.dialect->container();
  const auto& weights = request.source.layout.weights;
  const bool holds = std::ranges::all_of(weights, [&](const LogicalWeight& weight) {
    if (weight.role != role || !weight.quantisable()) return true;
    const Container::Obstacle obstacle =
        container.ObstacleTo(request.source, weight, request.weights);
    return obstacle.why.empty() || obstacle.never;
  });
  return holds ? request.weights : Format(formats::kMxfp4);
}

// Whether a weight of the role is left that is not in the format already.
bool HasWeightsFor(const ConvertRequest& request, Role role, Format format) {
  return std::ranges::any_of(request.source.layout.weights, [&](const LogicalWeight& weight) {
    return weight.role == role && weight.quantisable() &&
           (FormatOf(weight) != format || format == request.weights);
  });
}

std::vector<Rule> ConvertRules(const ConvertRequest& request) {
  const bool rewrites = request.dialect->container().holds_all();
  if (request.weights == formats::kBf16) {
    if (!rewrites) RequireQuantised(request.source);
    return HasQuantised(request.source) ? std::vector{DequantizeRule()} : std::vector<Rule>();
  }
  if (request.weights == kKeep) return {};
  RefuseStackedExperts(request.source);
  const checkpoint::FamilyFacts facts = request.source.family->Facts();
  const std::span<const Role> roles = facts.converted;
  std::vector<Rule> rules;
  if (!rewrites && !facts.nvfp4_beside_native && LeavesForeignWeights(request, roles)) {
    rules.push_back(DequantizeRule());
  }
  for (const Role role : roles) {
    const Format format = FormatForRole(request, role);
    if (!HasWeightsFor(request, role, format)) continue;
    Rule rule;
    rule.roles = {role};
    rule.format = format;
    if (format == request.weights) rule.scale = request.scale;
    rules.push_back(rule);
  }
  if (rewrites ||
      std::ranges::any_of(rules, [](const Rule& rule) { return IsQuantised(rule.format); })) {
    return rules;
  }
  ThrowNothing(
      request.source,
      fmt::format("no linear layer of attention, an MLP or an expert was found; its linear "
                  "layers: {}",
                  LinearNames(request.source)),
      "Name them in a recipe (--recipe): {\"name\": GLOB, \"format\": ...}");
}

// Rules would say so too, but nobody wrote any.
void CheckRequest(const ConvertRequest& request) {
  if (request.weights == kKeep && !request.dialect->container().holds_all()) {
    throw Error(ErrorCode::kBadArgument, "format of the weights", "\"keep\" converts nothing",
                "Choose another format");
  }
  if (request.scale == ScaleMethod::kAuto) return;
  ParseScaleMethod(request.weights, request.scale, {ErrorCode::kBadArgument, "scale method"});
}

}  // namespace

Recipe ConvertRecipe(const ConvertRequest& request) {
  CheckRequest(request);
  Recipe recipe;
  recipe.description = "Convert to " + std::string(TargetFormatName(request.weights));
  recipe.source = request.source.checkpoint.directory();
  recipe.output = request.output;
  recipe.default_run_dir = request.run_dir.empty();
  recipe.run_dir = recipe.default_run_dir ? DefaultRunDirectory(request.output) : request.run_dir;
  recipe.rules = ConvertRules(request);
  recipe.compute.threads = request.threads;
  recipe.dialect = request.dialect;
  recipe.activations = request.activations;
  recipe.constant_input_scale = request.constant_input_scale;
  recipe.importance = request.importance;
  CheckDirectories(recipe, {ErrorCode::kBadArgument, "source, output, run directory"});
  return recipe;
}

Recipe DequantizeRecipe(const SourceModel& source, const std::filesystem::path& output) {
  return ConvertRecipe({.source = source, .output = output, .weights = formats::kBf16});
}

void RequireConversion(const SourceModel& source, const Plan& plan) {
  if (plan.kv_cache != KvCache::kNone || plan.container->holds_all()) return;
  const bool changes = std::ranges::any_of(
      plan.weights, [](const WeightPlan& weight) { return weight.format != kKeep; });
  if (changes) return;
  ThrowNothing(source, "the rules keep every weight, so that the output would be a copy",
               "Give a rule with a format other than keep, or use the checkpoint as it is");
}

}  // namespace vernier::recipes

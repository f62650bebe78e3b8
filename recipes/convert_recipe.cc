#include "recipes/convert_recipe.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "recipes/recipe_values.h"
#include "recipes/source_convention.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::Role;
using checkpoint::SourceModel;

constexpr std::array kLinearRoles = {Role::kAttention, Role::kDenseMlp, Role::kSharedExpert,
                                     Role::kRoutedExpert};
constexpr std::array kDeepseekV4Roles = {Role::kRoutedExpert};

bool IsDeepseekV4(const SourceModel& source) {
  return source.family->model_type() == "deepseek_v4";
}

std::span<const Role> ConvertedRoles(const SourceModel& source) {
  if (IsDeepseekV4(source)) return kDeepseekV4Roles;
  return kLinearRoles;
}

Rule DequantizeRule() {
  Rule rule;
  rule.name_glob = "*";
  rule.format = TargetFormat::kBf16;
  return rule;
}

bool IsConverted(std::span<const Role> roles, const LogicalWeight& weight) {
  return weight.linear && std::ranges::find(roles, weight.role) != roles.end();
}

// Whether some weight would stay quantised in a convention that the dialect does not have.
bool LeavesForeignWeights(const ConvertRequest& request, std::span<const Role> roles) {
  const Convention own = request.dialect == Dialect::kModelopt ? Convention::kModelopt
                                                               : Convention::kCompressedTensors;
  return std::ranges::any_of(request.source.layout.weights, [&](const LogicalWeight& weight) {
    return !IsConverted(roles, weight) && IsQuantised(weight) &&
           ConventionOf(request.source, weight) != own;
  });
}

std::vector<Rule> ConvertRules(const ConvertRequest& request) {
  if (request.weights == TargetFormat::kBf16) return {DequantizeRule()};
  const std::span<const Role> roles = ConvertedRoles(request.source);
  std::vector<Rule> rules;
  if (!IsDeepseekV4(request.source) && LeavesForeignWeights(request, roles)) {
    rules.push_back(DequantizeRule());
  }
  for (const Role role : roles) {
    const bool present = std::ranges::any_of(
        request.source.layout.weights,
        [&](const LogicalWeight& weight) { return weight.role == role && weight.linear; });
    if (!present) continue;
    Rule rule;
    rule.roles = {role};
    rule.format = request.weights;
    rule.scale = request.scale;
    rules.push_back(rule);
  }
  return rules;
}

// Rules would say so too, but nobody wrote any.
void CheckRequest(const ConvertRequest& request) {
  if (request.weights == TargetFormat::kKeep) {
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
  return ConvertRecipe({.source = source, .output = output, .weights = TargetFormat::kBf16});
}

}  // namespace vernier::recipes

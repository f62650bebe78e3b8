#include "run/run_identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/hash.h"
#include "calib/statistics/registry.h"
#include "recipes/recipe_values.h"
#include "run/kept_statistics.h"

namespace vernier::run {
namespace {

const std::string kNumerics = "numerics";
const std::string kWeightedModules = "weighted_modules";
const std::string kPropagates = "propagates";
const std::string kTriedFormats = "tried_formats";

// "/data/0/path" -> "calibration.data.0.path"
std::string FieldName(std::string pointer) {
  std::ranges::replace(pointer, '/', '.');
  return std::string(kCalibrationPrefix) + pointer.substr(1);
}

// Of the statistics with a purpose that are kept, by module.
std::string HashOfKept(const checkpoint::ModelLayout& layout, const recipes::Plan& plan) {
  Hasher hasher;
  for (const std::string& module : plan.observed_modules) {
    for (const statistics::Statistic& statistic : statistics::AllStatistics()) {
      const bool always = statistic.purpose == statistics::Purpose::kAny;
      if (always || !KeepsStatistic(statistic, layout, plan, module)) continue;
      const bool first = statistic.purpose == statistics::Purpose::kMse;  // as it always was
      hasher.Update(first ? module + "\n" : fmt::format("{} {}\n", module, statistic.name));
    }
  }
  return hasher.Hex();
}

void AddCalibration(const recipes::Recipe& recipe, RunIdentity& identity) {
  identity[kNumerics] = std::to_string(kNumericsVersion);
  const Json fields = recipes::CalibrationIdentity(recipe).flatten();
  for (const auto& [pointer, value] : fields.items()) {
    identity[FieldName(pointer)] = value.is_string() ? value.get<std::string>() : value.dump();
  }
}

// What formats are tried on; empty without a budget.
std::string HashOfTried(const checkpoint::ModelLayout& layout, const recipes::Plan& plan) {
  if (plan.observed_blocks.empty()) return {};
  Hasher hasher;
  for (const std::string& block : plan.observed_blocks) hasher.Update(block + "\n");
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (plan.weights[i].tried) hasher.Update(layout.weights[i].module + "\n");
  }
  return hasher.Hex();
}

// Empty where there is no choice, or it is still to be made.
std::string ProductsOf(const recipes::Recipe& recipe) {
  const bool chosen = recipe.compute.device == "cpu" &&
                      recipe.calibration.dtype == recipes::ComputeDtype::kBFloat16 &&
                      recipe.compute.cpu_products != recipes::CpuProducts::kAuto;
  return chosen ? std::string(NameOf(recipes::kCpuProducts, recipe.compute.cpu_products)) : "";
}

// Input scales that no calibration decides, which later layers' inputs are rounded by.
std::string TextOfConstants(const checkpoint::ModelLayout& layout, const recipes::Plan& plan) {
  Hasher constants;
  bool any = false;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const recipes::WeightPlan& weight = plan.weights[i];
    if (!weight.HasInputScale() || weight.HasCalibratedInputs()) continue;
    any = true;
    constants.Update(
        fmt::format("{} {}\n", layout.weights[i].module, weight.input_scales.constant));
  }
  return any ? ", constants " + constants.Hex() : std::string();
}

}  // namespace

RunIdentity PlanIdentity(const checkpoint::SourceModel& source, const recipes::Recipe& recipe,
                         const recipes::Plan& plan) {
  Hasher observed;
  for (const std::string& module : plan.observed_modules) observed.Update(module + "\n");
  RunIdentity identity = {{"source", source.checkpoint.fingerprint()},
                          {"observed_modules", observed.Hex()}};
  if (!recipes::ObservesInputs(recipe)) return identity;
  AddCalibration(recipe, identity);
  identity[kWeightedModules] = HashOfKept(source.layout, plan);
  if (plan.propagates) {
    identity[kPropagates] = fmt::format("quantised, headroom {}{}", recipe.activation_headroom,
                                        TextOfConstants(source.layout, plan));
  }
  if (const std::string tried = HashOfTried(source.layout, plan); !tried.empty()) {
    identity[kTriedFormats] = tried;
  }
  if (const std::string products = ProductsOf(recipe); !products.empty()) {
    identity[std::string(kProductsField)] = products;
  }
  return identity;
}

RunIdentity AsFinished(RunIdentity identity, const Store& store) {
  if (!store.CalibrationFinished()) return identity;
  const RunIdentity stored = store.Identity();
  for (const std::string& field : {kNumerics, kWeightedModules}) {
    if (!identity.contains(field)) continue;
    const auto found = stored.find(field);
    if (found != stored.end()) identity[field] = found->second;
    if (found == stored.end() && field == kWeightedModules) identity.erase(field);
  }
  // What was tried is of use with a budget, and does no harm without one.
  identity.erase(kTriedFormats);
  if (const auto found = stored.find(kTriedFormats); found != stored.end()) identity.insert(*found);
  // Scales of other methods can come from what quantised layers passed on, too.
  if (const auto found = stored.find(kPropagates); found != stored.end()) identity.insert(*found);
  return identity;
}

}  // namespace vernier::run

#include "recipes/source_convention.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/error.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::SourceModel;

bool Converts(const Plan& plan) {
  return std::ranges::any_of(plan.weights,
                             [](const WeightPlan& weight) { return weight.format != kKeep; });
}

// Why a converted weight cannot stand beside native ones; empty if it can.
std::string ObstacleBesideNative(const SourceModel& source, const Plan& plan,
                                 const WeightPlan& weight) {
  const Format format = weight.format;
  if (!IsQuantised(format)) return {};
  if (format == formats::kFp8Block && plan.fp8_blocks.native) return {};
  if (format != formats::kNvfp4) return "no engine loads it there";
  if (!source.family->Facts().nvfp4_beside_native) {
    return fmt::format("no engine loads it there for the model_type {}",
                       source.family->model_type());
  }
  if (!weight.HasInputScale()) {
    return "engines need input scales there (\"activations\": 1.0 in a recipe, --input-scale 1.0)";
  }
  return {};
}

// Formats that are read and not written have no place in a configuration that Vernier writes.
[[noreturn]] void ThrowNotDescribed(const LogicalWeight& kept) {
  throw Error(ErrorCode::kBadRule, kept.name,
              fmt::format("it stays {}, which the new configuration could not describe",
                          checkpoint::FormatName(kept.format)),
              "Convert it too, for instance with a first rule {\"name\": \"*\", \"format\": "
              "\"bf16\"}");
}

void CheckBesideNative(const SourceModel& source, const Plan& plan, const LogicalWeight& kept) {
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const Format format = plan.weights[i].format;
    const std::string obstacle = ObstacleBesideNative(source, plan, plan.weights[i]);
    if (obstacle.empty()) continue;
    throw Error(ErrorCode::kBadRule, source.layout.weights[i].name,
                fmt::format("it would be {} beside {}, which stays {} as released, and {}",
                            TargetFormatName(format), kept.name,
                            checkpoint::FormatName(kept.format), obstacle),
                "Convert every quantised weight: begin with a rule {\"name\": \"*\", \"format\": "
                "\"bf16\"}, or choose another format");
  }
}

}  // namespace

bool StaysNative(const SourceModel& source, const Plan& plan) {
  if (plan.container->holds_all() || !dialects::HasNativeConfig(source)) return false;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const Format format = plan.weights[i].format;
    if (format == formats::kFp8Block && plan.fp8_blocks.native) return true;
    const LogicalWeight& weight = source.layout.weights[i];
    if (format == kKeep && IsQuantised(weight) &&
        &dialects::DialectOf(source, weight) == &dialects::kNative) {
      return true;
    }
  }
  return false;
}

void CheckConventions(const SourceModel& source, const Plan& plan) {
  if (plan.container->holds_all()) return;  // it keeps every weight in its own way
  if (!Converts(plan) && plan.kv_cache == KvCache::kNone) return;
  bool checked_native = false;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const LogicalWeight& weight = source.layout.weights[i];
    if (plan.weights[i].format != kKeep || !IsQuantised(weight)) continue;
    if (!FormatOf(weight)) ThrowNotDescribed(weight);
    const Dialect convention = &dialects::DialectOf(source, weight);
    if (convention != plan.dialect && convention->extended_by != plan.dialect) {
      throw Error(
          ErrorCode::kBadRule, weight.name,
          fmt::format("it stays {} in {} convention, in an output of the dialect {}",
                      checkpoint::FormatName(weight.format), convention->name, plan.dialect->name),
          "Convert it too, for instance with a first rule {\"name\": \"*\", \"format\": "
          "\"bf16\"}, or choose the other export.dialect");
    }
    if (convention == plan.dialect || checked_native) continue;
    CheckBesideNative(source, plan, weight);
    checked_native = true;
  }
}

}  // namespace vernier::recipes

#include "recipes/plan_engines.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/families/decoder_config.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::Role;
using checkpoint::ScaleSpan;
using checkpoint::SourceModel;

bool InBlocks(Format format) { return format && format->parts.span == ScaleSpan::kBlock; }

// Of each fused matrix whose parts become FP8 blocks, the rows of its smallest part, which engines
// put last: of values, of compressed keys, or as many as all others have.
std::map<std::string, int64_t> LeastRows(const SourceModel& source, const Plan& plan) {
  std::map<std::string, int64_t> least;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const LogicalWeight& weight = source.layout.weights[i];
    if (weight.fused_group.empty() || !InBlocks(plan.weights[i].format)) continue;
    const auto [entry, is_new] = least.try_emplace(weight.fused_group, weight.rows());
    entry->second = std::min(entry->second, weight.rows());
  }
  return least;
}

class OddSides {
 public:
  OddSides(const SourceModel& source, const Plan& plan)
      : source_(source), plan_(plan), least_(LeastRows(source, plan)) {}

  std::vector<std::string> Warnings() {
    for (size_t i = 0; i < plan_.weights.size(); ++i) {
      if (InBlocks(plan_.weights[i].format)) Look(source_.layout.weights[i]);
    }
    if (count_ == 0) return {};
    const std::string more =
        count_ == 1 ? ""
                    : fmt::format(", as in {} more", HumanCount(static_cast<uint64_t>(count_ - 1)));
    return {fmt::format("{}{}: refused by {}; fp8_channel has no blocks", first_, more,
                        plan_.dialect->strict_about_blocks)};
  }

 private:
  void Look(const LogicalWeight& weight) {
    const checkpoint::BlockSize& block = plan_.fp8_blocks.size;
    if (EndsAtBlock(weight) && weight.rows() % block.rows != 0) {
      return Add(weight, weight.rows(), "rows", block.rows);
    }
    const bool whole_columns = plan_.dialect->whole_block_columns && !plan_.fp8_blocks.native;
    if (whole_columns && weight.columns() % block.columns != 0) {
      Add(weight, weight.columns(), "columns", block.columns);
    }
  }

  // Whether another part, or the next expert's, begins behind it.
  bool EndsAtBlock(const LogicalWeight& weight) {
    if (weight.fused_group.empty()) return false;
    if (weight.role == Role::kRoutedExpert) return true;
    // The first of the smallest may end within a block; of several, the next is not the last.
    int64_t& least = least_.at(weight.fused_group);
    if (weight.rows() != least) return true;
    least = -1;
    return false;
  }

  void Add(const LogicalWeight& weight, int64_t side, std::string_view what, int64_t block) {
    if (count_++ > 0) return;
    first_ = fmt::format("{} has {} {}, which FP8 blocks of {} do not divide", weight.module, side,
                         what, block);
  }

  const SourceModel& source_;
  const Plan& plan_;
  std::map<std::string, int64_t> least_;
  std::string first_;
  int64_t count_ = 0;
};

// Empty where engines load the routed experts that are quantised, or none are.
std::string SingleExpertsWarning(const SourceModel& source, const Plan& plan) {
  const checkpoint::DecoderConfig* decoder = source.family->Decoder();
  if (decoder == nullptr || decoder->experts_obstacle.empty()) return {};
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const Format format = plan.weights[i].format;
    if (source.layout.weights[i].role != Role::kRoutedExpert || !IsQuantised(format)) continue;
    return fmt::format("routed experts in {}: {}", TargetFormatName(format),
                       decoder->experts_obstacle);
  }
  return {};
}

}  // namespace

void CheckExperts(const SourceModel& source, const Plan& plan) {
  if (plan.dialect->experts_obstacle == nullptr) return;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const Format format = plan.weights[i].format;
    if (source.layout.weights[i].role != Role::kRoutedExpert || !IsQuantised(format)) continue;
    if (InBlocks(format) && plan.fp8_blocks.native) continue;
    const std::string_view obstacle =
        plan.dialect->experts_obstacle(format, plan.weights[i].HasInputScale());
    if (obstacle.empty()) continue;
    throw Error(ErrorCode::kBadRule,
                fmt::format("{} of routed experts in the {} dialect", TargetFormatName(format),
                            plan.dialect->name),
                fmt::format("no engine loads it: {}", obstacle),
                std::string(plan.dialect->experts_remedy));
  }
}

std::vector<std::string> EngineWarnings(const SourceModel& source, const Plan& plan) {
  std::vector<std::string> warnings = OddSides(source, plan).Warnings();
  const std::string single = SingleExpertsWarning(source, plan);
  if (!single.empty()) warnings.push_back(single);
  return warnings;
}

}  // namespace vernier::recipes

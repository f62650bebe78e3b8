#include "recipes/format_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/rounding.h"
#include "base/text.h"
#include "recipes/format_units.h"
#include "recipes/knapsack.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::SourceModel;

// Of all units: weights, and bytes of them in NVFP4.
struct Totals {
  double weights = 0;
  uint64_t bytes = 0;

  double BitsOf(uint64_t some_bytes) const { return 8 * static_cast<double>(some_bytes) / weights; }
};

Totals TotalsOf(const SourceModel& source, std::span<const FormatUnit> units) {
  Totals totals;
  for (const FormatUnit& unit : units) {
    totals.bytes += unit.options.front().bytes;
    for (const size_t weight : unit.weights) {
      const LogicalWeight& values = source.layout.weights[weight];
      totals.weights += static_cast<double>(values.rows()) * static_cast<double>(values.columns());
    }
  }
  return totals;
}

// Bytes beyond NVFP4 everywhere. kBadRule when that is too much already.
uint64_t RoomOf(const SizeBudget& budget, const Totals& totals, const Plan& plan) {
  if (budget.bytes > 0) {
    // Other tensors have other offsets in the headers.
    constexpr uint64_t kDigits = 4;
    uint64_t least = plan.OutputFileBytes();
    for (const OutputShard& shard : plan.shards) least += kDigits * shard.tensors.size();
    if (least <= budget.bytes) return budget.bytes - least;
    throw Error(
        ErrorCode::kBadRule, "budget",
        fmt::format("the weight files take {} already with everything in nvfp4, more than {}",
                    HumanBytes(least), HumanBytes(budget.bytes)),
        "Allow more, or make more weights nvfp4");
  }
  const double bytes = budget.bits * totals.weights / 8;
  if (bytes >= static_cast<double>(totals.bytes)) {
    return static_cast<uint64_t>(bytes) - totals.bytes;
  }
  throw Error(ErrorCode::kBadRule, "budget",
              fmt::format("nvfp4 alone takes {:.3f} bits a weight with its scales, more than {}",
                          totals.BitsOf(totals.bytes), budget.bits),
              "Allow more");
}

// Indexers and the like are part of attention.
std::string BlockOf(const LogicalWeight& weight) {
  using checkpoint::Role;
  const bool ffn = weight.role == Role::kDenseMlp || weight.role == Role::kSharedExpert ||
                   weight.role == Role::kRoutedExpert;
  return ffn ? FfnBlock(weight.layer) : AttentionBlock(weight.layer);
}

// The relative errors of a unit's linear layers, summed over those that a token passes (routed
// experts count as one, each by its tokens), times the share of their block and a factor for its
// depth.
class UnitErrors {
 public:
  UnitErrors(const SourceModel& source, const Plan& plan, const MeasuredErrors& measured,
             std::string_view origin)
      : source_(source), plan_(plan), measured_(measured), origin_(origin) {
    for (const FormatError& error : measured.formats) {
      errors_[{error.module, error.format}] = &error;
    }
  }

  double Of(const FormatUnit& unit, Format format) const {
    if (format != formats::kNvfp4 && format != formats::kFp8Tensor) return 0;
    std::set<int> experts;
    double sum = 0, tokens = 0, layers = 0;
    for (const size_t weight : unit.weights) {
      if (!plan_.weights[weight].tried) continue;
      const FormatError& error = Find(source_.layout.weights[weight].module, format);
      experts.insert(source_.layout.weights[weight].expert);
      layers += 1;
      tokens += static_cast<double>(error.tokens);
      if (error.energy > 0) sum += static_cast<double>(error.tokens) * error.error / error.energy;
    }
    if (tokens == 0) return 0;
    return DepthFactor(unit) * ShareOf(unit) * layers / static_cast<double>(experts.size()) * sum /
           tokens;
  }

 private:
  const FormatError& Find(const std::string& module, Format format) const {
    const auto found = errors_.find({module, format});
    if (found != errors_.end()) return *found->second;
    ThrowUnmeasured(fmt::format("error of {} in {}", module, TargetFormatName(format)));
  }

  // Measured: divergences of the whole model's output, one unit in NVFP4 at a time, are in the
  // first and in the last layers about twice what the rest of this product makes of them.
  double DepthFactor(const FormatUnit& unit) const {
    const double last = static_cast<double>(source_.family->Dims().layers - 1);
    const double layer = source_.layout.weights[unit.weights.front()].layer;
    const double from_middle = last > 0 ? 2 * layer / last - 1 : 0;
    return 1 + from_middle * from_middle;
  }

  double ShareOf(const FormatUnit& unit) const {
    const std::string block = BlockOf(source_.layout.weights[unit.weights.front()]);
    const auto found = measured_.block_shares.find(block);
    if (found != measured_.block_shares.end()) return found->second;
    ThrowUnmeasured(fmt::format("share of {}", block));
  }

  [[noreturn]] void ThrowUnmeasured(const std::string& what) const {
    throw Error(
        ErrorCode::kStoreIdentity, origin_,
        fmt::format("it holds no {}: it was calibrated without a budget, or of others", what),
        "Calibrate in another run directory with the budget, or export without it");
  }

  const SourceModel& source_;
  const Plan& plan_;
  const MeasuredErrors& measured_;
  std::string origin_;
  std::map<std::pair<std::string, Format>, const FormatError*> errors_;
};

// Of each item the options [begin, end) of a pair, sizes beyond the first's.
KnapsackItem Between(const KnapsackItem& item, size_t first, size_t second) {
  KnapsackItem some = {item[first]};
  if (second != first) some.push_back(item[second]);
  for (KnapsackOption& option : some) option.size -= item[first].size;
  return some;
}

// FP8 loses so little that its sixteen bits go elsewhere first: the last option is for what is left
// when every item has the second that gains by it.
std::vector<size_t> ChooseOptions(std::span<const KnapsackItem> items, uint64_t room) {
  std::vector<KnapsackItem> pairs;
  for (const KnapsackItem& item : items) {
    pairs.push_back(Between(item, 0, std::min<size_t>(1, item.size() - 1)));
  }
  std::vector<size_t> chosen = SolveKnapsack(pairs, room);
  for (size_t i = 0; i < items.size(); ++i) {
    const KnapsackItem& pair = pairs[i];
    if (chosen[i] == 0 && pair.size() > 1 && pair[1].cost < pair[0].cost) return chosen;
    room -= pair[chosen[i]].size;
    pairs[i] = Between(items[i], chosen[i], items[i].size() - 1);
  }
  const std::vector<size_t> last = SolveKnapsack(pairs, room);
  for (size_t i = 0; i < items.size(); ++i) {
    if (last[i] > 0) chosen[i] = items[i].size() - 1;
  }
  return chosen;
}

// Sizes beyond NVFP4, and errors, of all options.
std::vector<KnapsackItem> MakeItems(std::span<const FormatUnit> units, const UnitErrors& errors) {
  std::vector<KnapsackItem> items;
  for (const FormatUnit& unit : units) {
    KnapsackItem& item = items.emplace_back();
    for (const FormatUnit::Option& option : unit.options) {
      item.push_back({.size = option.bytes - unit.options.front().bytes,
                      .cost = unit.options.size() > 1 ? errors.Of(unit, option.format) : 0});
    }
  }
  return items;
}

}  // namespace

FormatChoice ChooseFormats(const SourceModel& source, const Recipe& recipe, const Plan& plan,
                           const MeasuredErrors& measured, std::string_view origin) {
  const std::vector<FormatUnit> units = FormatUnits(source, plan);
  const Totals totals = TotalsOf(source, units);
  const std::vector<KnapsackItem> items =
      MakeItems(units, UnitErrors(source, plan, measured, origin));
  const std::vector<size_t> chosen = ChooseOptions(items, RoomOf(recipe.budget, totals, plan));
  FormatChoice choice;
  BudgetOutcome& outcome = choice.outcome;
  uint64_t more = 0;
  for (size_t i = 0; i < units.size(); ++i) {
    const KnapsackOption& option = items[i][chosen[i]];
    const double in_nvfp4 = items[i].front().cost;
    const Format format = units[i].options[chosen[i]].format;
    outcome.units += units[i].options.size() > 1 ? 1 : 0;
    outcome.error += option.cost;
    outcome.error_in_nvfp4 += in_nvfp4;
    more += option.size;
    if (chosen[i] == 0) continue;
    outcome.promoted.push_back({units[i].name, format, option.cost, in_nvfp4});
    for (const size_t weight : units[i].weights) choice.promotions[weight] = format;
  }
  outcome.bits = totals.BitsOf(totals.bytes + more);
  outcome.bits_in_nvfp4 = totals.BitsOf(totals.bytes);
  return choice;
}

uint64_t MostOutputBytes(const SourceModel& source, const Recipe& recipe, const Plan& plan) {
  const uint64_t least = plan.OutputFileBytes();
  if (!recipe.budget.given()) return least;
  return least + RoomOf(recipe.budget, TotalsOf(source, FormatUnits(source, plan)), plan);
}

void PlanTrials(const SourceModel& source, const Recipe& recipe, Plan& plan) {
  const std::vector<FormatUnit> units = FormatUnits(source, plan);
  const auto has_choice = [](const FormatUnit& unit) { return unit.options.size() > 1; };
  if (std::ranges::none_of(units, has_choice)) {
    throw Error(ErrorCode::kBadRule, "budget", "no weight becomes nvfp4 that could keep more bits",
                "Remove it, or choose the format nvfp4");
  }
  const auto is_calibrated = [&](const FormatUnit& unit) {
    return std::ranges::all_of(
        unit.weights, [&](size_t weight) { return plan.weights[weight].HasCalibratedInputs(); });
  };
  if (!std::ranges::all_of(units, is_calibrated)) {
    throw Error(ErrorCode::kBadRule, "budget",
                "inputs are not calibrated, so that no errors of outputs are measured",
                "Remove it, or use `vernier run` with a recipe whose activations are "
                "\"calibrated\"");
  }
  RoomOf(recipe.budget, TotalsOf(source, units), plan);
  std::set<std::string> blocks;
  for (const FormatUnit& unit : units) {
    if (!has_choice(unit)) continue;
    blocks.insert(BlockOf(source.layout.weights[unit.weights.front()]));
    int experts = 0;
    for (const size_t weight : unit.weights) {
      experts = std::max(experts, source.layout.weights[weight].expert + 1);
    }
    const int step = std::max(1, CeilDivide(experts, kTriedExperts));
    for (const size_t weight : unit.weights) {
      const int expert = source.layout.weights[weight].expert;
      plan.weights[weight].tried = expert < 0 || expert % step == 0;
    }
  }
  plan.observed_blocks.assign(blocks.begin(), blocks.end());
}

}  // namespace vernier::recipes

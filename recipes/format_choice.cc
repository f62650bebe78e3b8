#include "recipes/format_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/rounding.h"
#include "base/text.h"
#include "recipes/knapsack.h"
#include "recipes/target_format.h"
#include "recipes/target_layout.h"

namespace vernier::recipes {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::SourceModel;
using checkpoint::WeightFormat;

uint64_t SourceBytes(const SourceModel& source, const LogicalWeight& weight) {
  uint64_t bytes = 0;
  for (const size_t part : weight.Parts()) bytes += source.checkpoint.tensor(part).info.Bytes();
  return bytes;
}

uint64_t BytesIn(TargetFormat format, const SourceModel& source, const Plan& plan,
                 const LogicalWeight& weight) {
  if (format == TargetFormat::kKeep) return SourceBytes(source, weight);
  uint64_t bits = 0;
  for (const TargetPart& part : TargetParts({.format = format,
                                .dialect = plan.dialect,
                                .with_input_scale = true,
                                .weight = weight,
                                .fp8_blocks = plan.fp8_blocks})) {
    uint64_t elements = 1;
    for (const int64_t size : part.shape) elements *= static_cast<uint64_t>(size);
    bits += elements * static_cast<uint64_t>(checkpoint::DTypeBits(part.dtype));
  }
  return bits / 8;
}

bool IsPlain(const LogicalWeight& weight) { return weight.format == WeightFormat::kPlain; }

class UnitMaker {
 public:
  UnitMaker(const SourceModel& source, const Plan& plan) : source_(source), plan_(plan) {}

  std::vector<FormatUnit> Make() {
    for (size_t i = 0; i < plan_.weights.size(); ++i) {
      const WeightPlan& planned = plan_.weights[i];
      if (planned.format != TargetFormat::kNvfp4 || planned.scale == ScaleMethod::kLossless)
        continue;
      Unit(source_.layout.weights[i]).weights.push_back(i);
    }
    for (FormatUnit& unit : units_) {
      for (const TargetFormat format :
           {TargetFormat::kNvfp4, TargetFormat::kFp8Tensor, ReleasedFormat(unit)}) {
        AddOption(unit, format);
      }
    }
    return std::move(units_);
  }

 private:
  FormatUnit& Unit(const LogicalWeight& weight) {
    const std::string name = weight.expert >= 0
                                 ? fmt::format("routed experts of layer {}", weight.layer)
                             : weight.fused_group.empty() ? weight.module
                                                          : weight.fused_group;
    const auto [place, is_new] = places_.try_emplace(name, units_.size());
    if (is_new) units_.push_back({.name = name, .weights = {}, .options = {}});
    return units_[place->second];
  }

  bool All(const FormatUnit& unit, auto is_so) const {
    return std::ranges::all_of(unit.weights, [&](size_t weight) {
      return is_so(source_.layout.weights[weight], plan_.weights[weight]);
    });
  }

  // What a fold changes is BF16; other values of the source stay as they are.
  TargetFormat ReleasedFormat(const FormatUnit& unit) const {
    const bool changes = !All(unit, [](const auto&, const WeightPlan& p) { return !p.folded(); });
    return changes ? TargetFormat::kBf16 : TargetFormat::kKeep;
  }

  bool IsPossible(const FormatUnit& unit, TargetFormat format) const {
    const bool plain = All(unit, [](const LogicalWeight& w, const auto&) { return IsPlain(w); });
    return plain || format == TargetFormat::kNvfp4 || format == TargetFormat::kKeep;
  }

  void AddOption(FormatUnit& unit, TargetFormat format) const {
    if (!IsPossible(unit, format)) return;
    FormatUnit::Option option{.format = format};
    for (const size_t weight : unit.weights) {
      option.bytes += BytesIn(format, source_, plan_, source_.layout.weights[weight]);
    }
    if (unit.options.empty() || option.bytes > unit.options.back().bytes) {
      unit.options.push_back(option);
    }
  }

  const SourceModel& source_;
  const Plan& plan_;
  std::vector<FormatUnit> units_;
  std::unordered_map<std::string, size_t> places_;
};

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
    const uint64_t least = plan.OutputFileBytes();
    if (least <= budget.bytes) return budget.bytes - least;
    throw Error(ErrorCode::kBadRule, "budget",
                fmt::format("the output takes {} already with everything in nvfp4, more than {}",
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

// The relative errors of a unit's linear layers, summed over those that a token passes: routed
// experts count as one, each by its tokens.
class UnitErrors {
 public:
  UnitErrors(const SourceModel& source, const Plan& plan, std::span<const FormatError> errors,
             std::string_view origin)
      : source_(source), plan_(plan), origin_(origin) {
    for (const FormatError& error : errors) errors_[{error.module, error.format}] = &error;
  }

  double Of(const FormatUnit& unit, TargetFormat format) const {
    if (format != TargetFormat::kNvfp4 && format != TargetFormat::kFp8Tensor) return 0;
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
    return tokens > 0 ? layers / static_cast<double>(experts.size()) * sum / tokens : 0;
  }

 private:
  const FormatError& Find(const std::string& module, TargetFormat format) const {
    const auto found = errors_.find({module, format});
    if (found != errors_.end()) return *found->second;
    throw Error(ErrorCode::kStoreIdentity, origin_,
                fmt::format("it holds no error of {} in {}: it was calibrated without a budget",
                            module, TargetFormatName(format)),
                "Calibrate in another run directory with the budget, or export without it");
  }

  const SourceModel& source_;
  const Plan& plan_;
  std::string origin_;
  std::map<std::pair<std::string, TargetFormat>, const FormatError*> errors_;
};

}  // namespace

std::vector<FormatUnit> FormatUnits(const SourceModel& source, const Plan& plan) {
  return UnitMaker(source, plan).Make();
}

FormatChoice ChooseFormats(const SourceModel& source, const Recipe& recipe, const Plan& plan,
                           std::span<const FormatError> errors, std::string_view origin) {
  const std::vector<FormatUnit> units = FormatUnits(source, plan);
  const Totals totals = TotalsOf(source, units);
  const UnitErrors errors_of(source, plan, errors, origin);
  std::vector<KnapsackItem> items;
  for (const FormatUnit& unit : units) {
    KnapsackItem& item = items.emplace_back();
    for (const FormatUnit::Option& option : unit.options) {
      const bool is_choice = unit.options.size() > 1;
      item.push_back({.size = option.bytes - unit.options.front().bytes,
                      .cost = is_choice ? errors_of.Of(unit, option.format) : 0});
    }
  }
  const std::vector<size_t> chosen = SolveKnapsack(items, RoomOf(recipe.budget, totals, plan));
  FormatChoice choice;
  BudgetOutcome& outcome = choice.outcome;
  uint64_t more = 0;
  for (size_t i = 0; i < units.size(); ++i) {
    const KnapsackOption& option = items[i][chosen[i]];
    outcome.units += units[i].options.size() > 1 ? 1 : 0;
    outcome.error += option.cost;
    outcome.error_in_nvfp4 += items[i].front().cost;
    more += option.size;
    if (chosen[i] == 0) continue;
    const TargetFormat format = units[i].options[chosen[i]].format;
    outcome.promoted.push_back({.name = units[i].name,
                                .format = format,
                                .error = option.cost,
                                .error_in_nvfp4 = items[i].front().cost});
    for (const size_t weight : units[i].weights) choice.promotions[weight] = format;
  }
  outcome.bits = totals.BitsOf(totals.bytes + more);
  outcome.bits_in_nvfp4 = totals.BitsOf(totals.bytes);
  return choice;
}

void PlanTrials(const SourceModel& source, const Recipe& recipe, Plan& plan) {
  const std::vector<FormatUnit> units = FormatUnits(source, plan);
  const auto has_choice = [](const FormatUnit& unit) { return unit.options.size() > 1; };
  if (std::ranges::none_of(units, has_choice)) {
    throw Error(ErrorCode::kBadRule, "budget", "no weight becomes nvfp4 that could keep more bits",
                "Remove it, or choose the format nvfp4");
  }
  if (recipe.activations != ActivationScales::kCalibrated) {
    throw Error(ErrorCode::kBadRule, "budget",
                "inputs are not calibrated, so that no errors of outputs are measured",
                "Remove it, or use `vernier run` with a recipe whose activations are "
                "\"calibrated\"");
  }
  RoomOf(recipe.budget, TotalsOf(source, units), plan);
  for (const FormatUnit& unit : units) {
    if (!has_choice(unit)) continue;
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
}

}  // namespace vernier::recipes

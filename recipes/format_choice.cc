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

std::string BlockOf(const LogicalWeight& weight) {
  return weight.role == checkpoint::Role::kAttention ? AttentionBlock(weight.layer)
                                                     : FfnBlock(weight.layer);
}

// The relative errors of a unit's linear layers, summed over those that a token passes (routed
// experts count as one, each by its tokens), times the share of their block
// and a factor for its depth.
class UnitErrors {
 public:
  UnitErrors(const SourceModel& source, const Plan& plan, const MeasuredErrors& measured,
             std::string_view origin)
      : source_(source), plan_(plan), measured_(measured), origin_(origin) {
    for (const FormatError& error : measured.formats) {
      errors_[{error.module, error.format}] = &error;
    }
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
    if (tokens == 0) return 0;
    return DepthFactor(unit) * ShareOf(unit) * layers / static_cast<double>(experts.size()) * sum /
           tokens;
  }

 private:
  const FormatError& Find(const std::string& module, TargetFormat format) const {
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
    throw Error(ErrorCode::kStoreIdentity, origin_,
                fmt::format("it holds no {}: it was calibrated without a budget", what),
                "Calibrate in another run directory with the budget, or export without it");
  }

  const SourceModel& source_;
  const Plan& plan_;
  const MeasuredErrors& measured_;
  std::string origin_;
  std::map<std::pair<std::string, TargetFormat>, const FormatError*> errors_;
};

// Of each item the options from number `first` on, at most two, sizes beyond the first's.
std::vector<KnapsackItem> OptionsFrom(std::span<const KnapsackItem> items, size_t first) {
  std::vector<KnapsackItem> some;
  for (const KnapsackItem& item : items) {
    const size_t begin = std::min(first, item.size() - 1);
    const auto count = static_cast<std::ptrdiff_t>(std::min<size_t>(item.size() - begin, 2));
    const auto from = item.begin() + static_cast<std::ptrdiff_t>(begin);
    some.emplace_back(from, from + count);
    for (KnapsackOption& option : some.back()) option.size -= item[begin].size;
  }
  return some;
}

// FP8 loses so little that its sixteen bits go elsewhere first: the third option is for what is
// left when everything has the second.
std::vector<size_t> ChooseOptions(std::span<const KnapsackItem> items, uint64_t room) {
  std::vector<size_t> chosen = SolveKnapsack(OptionsFrom(items, 0), room);
  for (size_t i = 0; i < items.size(); ++i) {
    if (chosen[i] == 0 && items[i].size() > 1) return chosen;
    room -= items[i][chosen[i]].size;
  }
  const std::vector<size_t> more = SolveKnapsack(OptionsFrom(items, 1), room);
  for (size_t i = 0; i < items.size(); ++i) chosen[i] += more[i];
  return chosen;
}

}  // namespace

std::vector<FormatUnit> FormatUnits(const SourceModel& source, const Plan& plan) {
  return UnitMaker(source, plan).Make();
}

FormatChoice ChooseFormats(const SourceModel& source, const Recipe& recipe, const Plan& plan,
                           const MeasuredErrors& measured, std::string_view origin) {
  const std::vector<FormatUnit> units = FormatUnits(source, plan);
  const Totals totals = TotalsOf(source, units);
  const UnitErrors errors_of(source, plan, measured, origin);
  std::vector<KnapsackItem> items;
  for (const FormatUnit& unit : units) {
    KnapsackItem& item = items.emplace_back();
    for (const FormatUnit::Option& option : unit.options) {
      const bool is_choice = unit.options.size() > 1;
      item.push_back({.size = option.bytes - unit.options.front().bytes,
                      .cost = is_choice ? errors_of.Of(unit, option.format) : 0});
    }
  }
  const std::vector<size_t> chosen = ChooseOptions(items, RoomOf(recipe.budget, totals, plan));
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

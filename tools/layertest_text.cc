#include "tools/layertest_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <vector>

#include "base/text.h"
#include "jobs/layertest.h"
#include "tools/text_table.h"

namespace vernier::tools {
namespace {

using calib::ErrorStats;
using calib::ExpertResult;
using calib::LayerTestResult;
using calib::LinearResult;
using calib::StageErrors;
using jobs::Dominant;
using jobs::NotEmulated;

constexpr size_t kNamedWorst = 3;

// What the product of this stage has of error in an engine, as far as it is known.
const ErrorStats& Total(const StageErrors& errors) {
  return errors.both ? *errors.both : *errors.weights;
}

std::string ShortPercent(double share) { return fmt::format("{:.3g} %", 100 * share); }

std::string PercentOf(const std::optional<ErrorStats>& stats) {
  return stats ? ShortPercent(stats->relative_error) : "-";
}

using Cells = std::vector<std::string>;

const std::vector<TextColumn>& Columns() {
  static const std::vector<TextColumn> columns = {
      {"stage"},         {"weights"},        {"activations"},     {"rows", true},
      {"W error", true}, {"A error", true},  {"W+A error", true}, {"SQNR", true},
      {"cosine", true},  {"max error", true}};
  return columns;
}

Cells MakeRow(const std::string& stage, const std::string& weights, const std::string& activations,
              const StageErrors& errors) {
  const ErrorStats& total = Total(errors);
  return {stage,
          weights,
          activations,
          HumanCount(static_cast<uint64_t>(total.rows)),
          PercentOf(errors.weights),
          PercentOf(errors.activations),
          PercentOf(errors.both),
          std::isfinite(total.sqnr_db) ? fmt::format("{:.1f} dB", total.sqnr_db) : "exact",
          fmt::format("{:.6f}", total.cosine),
          fmt::format("{:.3g}", total.max_abs_error)};
}

// Of several routed experts: one of their linear layers, or each as a whole.
struct Named {
  std::string name;
  const StageErrors* errors;
};

double Mean(const std::vector<Named>& group, auto value) {
  double sum = 0;
  for (const Named& member : group) sum += value(*member.errors);
  return sum / static_cast<double>(group.size());
}

std::string MeanPercent(const std::vector<Named>& group,
                        std::optional<ErrorStats> StageErrors::*variant) {
  const bool all = std::ranges::all_of(
      group, [&](const Named& member) { return (member.errors->*variant).has_value(); });
  if (!all) return "-";
  return ShortPercent(
      Mean(group, [&](const StageErrors& errors) { return (errors.*variant)->relative_error; }));
}

// The mean, and the members with the largest total errors.
void AppendGroup(const std::string& stage, const std::string& weights,
                 const std::string& activations, std::vector<Named> group,
                 std::vector<Cells>* rows) {
  if (group.empty()) return;
  uint64_t tokens = 0;
  double largest = 0;
  for (const Named& member : group) {
    tokens += static_cast<uint64_t>(Total(*member.errors).rows);
    largest = std::max(largest, Total(*member.errors).max_abs_error);
  }
  rows->push_back(
      {fmt::format("{}, mean of {}", stage, group.size()), weights, activations, HumanCount(tokens),
       MeanPercent(group, &StageErrors::weights), MeanPercent(group, &StageErrors::activations),
       MeanPercent(group, &StageErrors::both), "",
       fmt::format("{:.6f}",
                   Mean(group, [](const StageErrors& errors) { return Total(errors).cosine; })),
       fmt::format("{:.3g}", largest)});
  std::ranges::stable_sort(group, std::ranges::greater(), [](const Named& member) {
    return Total(*member.errors).relative_error;
  });
  if (Total(*group.front().errors).relative_error == 0) return;
  group.resize(std::min(group.size(), kNamedWorst));
  for (const Named& member : group) {
    rows->push_back(MakeRow("  worst: " + member.name, "", "", *member.errors));
  }
}

void AppendLinears(const LayerTestResult& result, std::vector<Cells>* rows) {
  std::vector<const LinearResult*> firsts;  // of each kind of linear layer of routed experts
  std::map<std::string, std::vector<Named>> groups;
  for (const LinearResult& linear : result.linears) {
    if (linear.expert < 0) {
      rows->push_back(
          MakeRow(linear.module, linear.weight_format, linear.activations, linear.errors));
      continue;
    }
    std::vector<Named>& group = groups[linear.projection];
    if (group.empty()) firsts.push_back(&linear);
    group.push_back({linear.module, &linear.errors});
  }
  for (const LinearResult* first : firsts) {
    AppendGroup("routed experts, " + first->projection, first->weight_format, first->activations,
                groups[first->projection], rows);
  }
}

void AppendStages(const LayerTestResult& result, std::vector<Cells>* rows) {
  std::vector<Named> experts;
  for (const ExpertResult& expert : result.routed_experts) {
    experts.push_back({fmt::format("expert {}", expert.expert), &expert.errors});
  }
  if (result.shared_experts) {
    rows->push_back(MakeRow("shared experts, whole", "", "", *result.shared_experts));
  }
  AppendGroup("routed experts, whole", "", "", std::move(experts), rows);
  rows->push_back(MakeRow("FFN, whole", "", "", result.ffn));
  rows->push_back(MakeRow("behind attention", "", "", result.behind_attention));
  rows->push_back(MakeRow("layer output", "", "", result.output));
}

std::string Verdict(const StageErrors& output) {
  if (!output.activations) {
    return fmt::format("Only weights are quantised: they change the layer's output by {}.",
                       ShortPercent(output.weights->relative_error));
  }
  const double weights = output.weights->relative_error;
  const double activations = output.activations->relative_error;
  const std::string text = fmt::format(
      "Of the layer's output, quantised weights alone change {}, quantised activations alone {}",
      ShortPercent(weights), ShortPercent(activations));
  const std::optional<std::string> dominant = Dominant(output);
  return dominant ? fmt::format("{}: {} dominate.", text, *dominant) : text + ".";
}

}  // namespace

std::string LayerTestText(const LayerTestResult& result) {
  std::vector<Cells> rows;
  AppendLinears(result, &rows);
  AppendStages(result, &rows);
  std::string text = fmt::format(
      "layer {} of {}, {} samples, {} tokens; errors are relative to the source's outputs\n",
      result.layer, result.layers, result.samples,
      HumanCount(static_cast<uint64_t>(result.tokens)));
  if (result.experts > 0) {
    text += fmt::format("{} of {} routed experts got tokens\n", result.routed_experts.size(),
                        result.experts);
  }
  text += FormatTable(Columns(), rows);
  const std::vector<std::string> left = NotEmulated(result);
  if (!left.empty()) {
    text += fmt::format(
        "Not emulated: the activations of {} modules, {} among them; their inputs "
        "are taken as they are.\n",
        left.size(), left.front());
  }
  return text + Verdict(result.output) + "\n";
}

}  // namespace vernier::tools

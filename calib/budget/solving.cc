#include "calib/budget/solving.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "calib/budget/largest.h"
#include "calib/budget/loop_constants.h"
#include "calib/statistics/registry.h"

namespace vernier::calib {
namespace {

using checkpoint::LogicalWeight;

// Of what is gone when it was made use of: for a fold or a trial alone, samples.
uint64_t SumsOf(uint64_t columns, bool solved) {
  uint64_t bytes = 0;
  for (const statistics::Statistic& statistic : statistics::AllStatistics()) {
    if (!statistics::IsTransient(statistic.purpose)) continue;
    if (statistic.purpose == statistics::Purpose::kGptq && !solved) continue;
    bytes += statistic.PayloadBytes(columns);
  }
  return bytes;
}

// Of weights [N, K] with the same inputs, N of all together: matrices of F64 while H is factorised,
// their values and those that are read meanwhile, what both methods make of them, and what threads
// or errors take, in F32; and codes on their way to files.
uint64_t WorkspaceOf(uint64_t rows, uint64_t columns) {
  constexpr uint64_t kFactorCopies = 5, kBytesPerValue = 4 + 4 + 2 + 4;
  return columns * columns * (kFactorCopies * sizeof(double)) + rows * columns * kBytesPerValue +
         2 * kSolvedBatchBytes;
}

// A factorisation and the inverse of its factor, once for weights with the same inputs.
double FactorFlops(double columns) { return columns * columns * columns; }

// Of compensation, and of the search in it.
double SolveFlops(double rows, double columns) {
  constexpr double kSearched = 12 * 136.0 / 16;
  return rows * columns * (columns + 2 * kSearched);
}

// Of a value that is scaled, searched and encoded to be tried: as many as a CPU's products have
// meanwhile.
constexpr double kTriedValueFlops = 1000;

// Some rows of weights, each tried so often and multiplied with a sample of inputs.
struct Trials {
  double rows = 0, tries = 0, products = 0;

  void AddTo(SolvingSizes& sizes, double columns) const {
    constexpr double kSample = 256;
    sizes.search_flops += tries * rows * columns * kTriedValueFlops;
    sizes.solve_flops += products * rows * columns * 2 * kSample;
  }
};
// Three consumers with each exponent; and a weight as it is and in two formats.
constexpr Trials kFoldTrials = {.rows = 3 * 512, .tries = 7, .products = 7};
constexpr Trials kFormatTrials = {.rows = 512, .tries = 1, .products = 3};

// Weights that an engine fuses have the same inputs, and those of the first count: the others.
std::set<size_t> WithInputsOfAnother(const recipes::Plan& plan) {
  std::set<size_t> others;
  for (const recipes::ScaleGroup& group : plan.scale_groups) {
    for (size_t i = 1; i < group.inputs.size(); ++i) others.insert(group.inputs[i]);
  }
  return others;
}

}  // namespace

SolvingSizes MeasureSolving(const checkpoint::ModelLayout& layout, const recipes::Plan& plan) {
  SolvingSizes sizes;
  const std::set<size_t> others = WithInputsOfAnother(plan);
  const std::map<size_t, size_t> solved_with = recipes::SolvedWith(layout, plan);
  std::map<size_t, uint64_t> rows_together;  // by the first of those with the same inputs
  std::map<int, uint64_t> dense_sums, dense_columns;
  std::map<std::pair<int, int>, uint64_t> expert_sums;
  for (const std::string& module : plan.observed_modules) {
    const bool solved = recipes::IsScaledBy(recipes::ScaleMethod::kGptq, layout, plan, module);
    const bool chooses = recipes::ChoosesFold(layout, plan, module);
    const bool tried = recipes::TriesFormats(layout, plan, module);
    if (!solved && !chooses && !tried) continue;
    const LogicalWeight& weight = *layout.FindModule(module);
    const auto rows = static_cast<uint64_t>(weight.rows());
    const auto columns = static_cast<uint64_t>(weight.columns());
    const size_t index = layout.by_module.at(module);
    const size_t first = solved ? solved_with.at(index) : index;
    const bool is_first = solved ? first == index : !others.contains(index);
    const bool has_sums = chooses || is_first;
    if (has_sums && weight.expert >= 0) {
      expert_sums[{weight.layer, weight.expert}] += SumsOf(columns, solved);
    } else if (has_sums) {
      dense_sums[weight.layer] += SumsOf(columns, solved);
      dense_columns[weight.layer] += columns;
    }
    if (chooses) kFoldTrials.AddTo(sizes, static_cast<double>(columns));
    if (tried) kFormatTrials.AddTo(sizes, static_cast<double>(columns));
    if (!solved) continue;
    if (is_first) {
      double& flops = weight.expert >= 0 ? sizes.expert_flops : sizes.dense_flops;
      flops += static_cast<double>(columns) * static_cast<double>(columns);
      sizes.solve_flops += FactorFlops(static_cast<double>(columns));
    }
    if (weight.expert >= 0) sizes.keeps_experts = true;
    uint64_t& together = rows_together[first];
    together += rows;
    sizes.workspace = std::max(sizes.workspace, WorkspaceOf(together, columns));
    sizes.codes += rows * columns / 2 + rows * columns / 16;
    sizes.solve_flops += SolveFlops(static_cast<double>(rows), static_cast<double>(columns));
  }
  sizes.dense_sums = Largest(dense_sums);
  sizes.dense_columns = Largest(dense_columns);
  sizes.expert_sums = Largest(expert_sums);
  return sizes;
}

}  // namespace vernier::calib

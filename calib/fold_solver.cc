#include "calib/fold_solver.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/rounding.h"
#include "calib/encoded_weight.h"
#include "calib/inputs_seen.h"
#include "calib/sampled_rows.h"
#include "calib/statistics/input_channel_amax.h"
#include "calib/statistics/input_sample.h"
#include "calib/statistics/input_square_sum.h"
#include "quantizers/bf16.h"
#include "quantizers/float_formats.h"

namespace vernier::calib {
namespace {

using checkpoint::Fold;
using checkpoint::LogicalWeight;
using statistics::InputChannelAmax;
using statistics::InputSample;
using statistics::InputSquareSum;

// [channels] of the sums of squares of columns, over so many tokens.
std::vector<double> MeanSquares(const Fold& fold, const at::Tensor& sums, int64_t tokens) {
  const auto* values = sums.data_ptr<double>();
  std::vector<double> means(static_cast<size_t>(fold.channels));
  const double count = static_cast<double>(tokens * fold.repeats);
  for (int64_t column = 0; column < fold.columns(); ++column) {
    means[static_cast<size_t>(fold.ChannelOf(column))] += values[column] / count;
  }
  return means;
}

// A norm's weight n keeps BF16 n' = n / s, and s becomes n / n' exactly as it then is; where
// `added` is not 0, n and n' are what is stored and that.
void StoreInNorm(const std::vector<float>& norm, std::vector<float>& scales, float added) {
  std::vector<float> divided(norm.size());
  for (size_t i = 0; i < norm.size(); ++i) {
    divided[i] = (norm[i] + added) / scales[i] - added;
  }
  std::vector<uint16_t> stored(norm.size());
  quantizers::FloatToBf16(divided, stored);
  for (size_t i = 0; i < norm.size(); ++i) {
    const float scale = (norm[i] + added) / (quantizers::Bf16ToFloat(stored[i]) + added);
    scales[i] = std::isfinite(scale) && scale > 0 ? scale : 1.0f;
  }
}

}  // namespace

FoldSolver::FoldSolver(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                       checkpoint::ReadOptions read)
    : source_(source), plan_(plan), reader_(source.checkpoint, read), scales_(plan.folds.size()) {
  for (size_t i = 0; i < plan.folds.size(); ++i) by_layer_[plan.folds[i].fold.layer].push_back(i);
}

void FoldSolver::BeginLayer(int layer, std::span<const run::FoldRecord> decided) {
  needed_.clear();
  unsaved_.clear();
  waiting_.clear();
  for (const size_t index : by_layer_[layer]) {
    const recipes::PlannedFold& planned = plan_.folds[index];
    const auto known = std::ranges::find(decided, planned.fold.name, &run::FoldRecord::name);
    if (known != decided.end()) {
      scales_[index] = known->scales;
      continue;
    }
    scales_[index].clear();
    waiting_.push_back(index);
    needed_.insert(ModuleOf(planned.observed));
  }
}

std::vector<std::string> FoldSolver::Solve(const LayerState& state, Recorder& recorder) {
  const c10::InferenceMode inference;
  std::vector<std::string> seen;
  std::erase_if(waiting_, [&](size_t index) {
    const recipes::PlannedFold& planned = plan_.folds[index];
    if (!AllInputsSeen(source_.layout.weights[planned.observed], state)) return false;
    unsaved_.push_back(Decide(planned, recorder));
    scales_[index] = unsaved_.back().scales;
    seen.push_back(ModuleOf(planned.observed));
    needed_.erase(seen.back());
    return true;
  });
  return seen;
}

run::FoldRecord FoldSolver::Decide(const recipes::PlannedFold& planned, Recorder& recorder) const {
  run::FoldRecord record{.name = planned.fold.name, .scales = {}};
  const auto seen = recorder.Look(ModuleOf(planned.observed), InputSquareSum::kName);
  if (seen) record.tokens = seen->rows;
  if (record.tokens < kFewestFoldTokens) return record;
  FoldChoice choice = ChooseFold(InputsOf(planned, recorder, record.tokens));
  record.exponent = choice.exponent;
  record.error = choice.error;
  record.other_error = choice.other_error;
  record.scales = std::move(choice.scales);
  return record;
}

FoldInputs FoldSolver::InputsOf(const recipes::PlannedFold& planned, Recorder& recorder,
                                int64_t rows) const {
  const Fold& fold = planned.fold;
  const std::string& module = ModuleOf(planned.observed);
  const auto sample = recorder.Look(module, InputSample::kName);
  FoldInputs inputs;
  inputs.mean_squares =
      MeanSquares(fold, recorder.Look(module, InputSquareSum::kName)->elements.cpu(), rows);
  inputs.sample = sample->elements.view({InputSample::kRows, fold.columns()})
                      .slice(0, 0, InputSample::CountOf(sample->rows));
  inputs.amax = recorder.Look(module, InputChannelAmax::kName)->elements.to(at::kFloat).cpu();
  inputs.channel_of = [&fold](int64_t column) { return fold.ChannelOf(column); };
  // Rows are not divided here: what an input's rounding costs does not depend on it.
  for (const size_t weight : LookedAt(fold)) {
    inputs.weights.push_back(SampleWeightRows(source_, reader_, weight));
  }
  if (fold.kind == checkpoint::FoldKind::kNorm) {
    inputs.store = [norm = Values(fold.producers.front()), added = fold.added](
                       std::vector<float>& scales) { StoreInNorm(norm, scales, added); };
  }
  return inputs;
}

std::vector<size_t> FoldSolver::LookedAt(const Fold& fold) const {
  std::vector<size_t> looked_at;
  int most_experts = 0;
  for (const size_t weight : fold.consumers) {
    most_experts = std::max(most_experts, source_.layout.weights[weight].expert + 1);
  }
  const int step = std::max(1, CeilDivide(most_experts, static_cast<int>(kFoldExperts)));
  for (const size_t weight : fold.consumers) {
    const LogicalWeight& consumer = source_.layout.weights[weight];
    const bool is_fp4 = plan_.weights[weight].format == checkpoint::formats::kNvfp4;
    if (is_fp4 && (consumer.expert < 0 || consumer.expert % step == 0)) looked_at.push_back(weight);
  }
  return looked_at;
}

std::vector<float> FoldSolver::Values(size_t weight) const {
  const LogicalWeight& source = source_.layout.weights[weight];
  std::vector<float> values(static_cast<size_t>(source.rows()));
  reader_.ReadF32(source, 0, source.rows(), values);
  return values;
}

std::vector<run::FoldRecord> FoldSolver::TakeDecided() { return std::exchange(unsaved_, {}); }

}  // namespace vernier::calib

#include "calib/weight_solver.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "calib/encoded_weight.h"
#include "calib/families/linear.h"
#include "calib/gptq_factor.h"
#include "calib/inputs_seen.h"
#include "calib/statistics/input_hessian.h"
#include "calib/statistics/input_sample.h"
#include "quantizers/nvfp4.h"
#include "quantizers/nvfp4_gptq.h"

namespace vernier::calib {
namespace {

using checkpoint::LogicalWeight;
using quantizers::Nvfp4Search;
using statistics::InputHessian;
using statistics::InputSample;

constexpr int64_t kBlock = quantizers::kNvfp4BlockSize;

// What the store calls that which became of a weight.
constexpr const char* kLeftMethod = "local_hessian";
constexpr const char* kFewTokensMethod = "few_tokens";

EncodedWeight EncodeOnHost(const at::Tensor& values, float global_scale, const GptqFactor& factor) {
  const at::Tensor upper = factor.upper.cpu();
  const auto size = static_cast<size_t>(upper.numel());
  const quantizers::Nvfp4GptqOptions options = {.global_scale = global_scale,
                                                .order = factor.order,
                                                .factor = {upper.data_ptr<float>(), size}};
  return Encode(values, [&](auto rows, auto codes, auto scales) {
    quantizers::QuantizeNvfp4Gptq(rows, values.size(1), options, codes, scales);
  });
}

// [K / 16, 16, 16] of the Hessian's diagonal, as a search takes it: to a largest element of 1.
at::Tensor DiagonalBlocks(const at::Tensor& hessian) {
  const int64_t blocks = hessian.size(0) / kBlock;
  const at::Tensor by_block = hessian.view({blocks, kBlock, blocks, kBlock});
  const at::Tensor diagonal = by_block.diagonal(0, 0, 2).permute({2, 0, 1});
  const at::Tensor upper = diagonal.triu();
  const at::Tensor whole = upper + upper.triu(1).transpose(1, 2);
  return (whole / whole.abs().max()).cpu().contiguous();
}

EncodedWeight EncodeByLocalHessian(const at::Tensor& values, float global_scale,
                                   const at::Tensor& hessian) {
  const at::Tensor blocks = DiagonalBlocks(hessian);
  const quantizers::Nvfp4Options options = {
      .global_scale = global_scale,
      .search = Nvfp4Search::kLocalHessian,
      .local_hessian = {blocks.data_ptr<float>(), static_cast<size_t>(blocks.numel())}};
  return Encode(values, options);
}

// The mean square of the outputs' errors on `inputs` [R, K] F32, on one device with `values`.
double OutputError(const at::Tensor& values, const EncodedWeight& encoded, float global_scale,
                   const at::Tensor& inputs) {
  const at::Tensor errors =
      Decode(encoded, values.size(1), global_scale, inputs.device()).sub_(values);
  const at::Tensor outputs = LinearF32(inputs, errors);
  return SumOfSquares(outputs) / static_cast<double>(std::max<int64_t>(1, outputs.numel()));
}

}  // namespace

// What is known of the inputs of weights that have the same.
struct WeightSolver::Inputs {
  at::Tensor hessian;  // [K, K] F32, a sum over `tokens`, its upper triangle
  int64_t tokens = 0;
  at::Tensor sample;  // [R, K] F32
  std::optional<GptqFactor> factor;
};

WeightSolver::WeightSolver(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                           const recipes::FoldScales& folds, checkpoint::ReadOptions read)
    : source_(source), plan_(plan), folds_(folds), reader_(source.checkpoint, read) {
  for (const std::string& module : plan.observed_modules) {
    if (!recipes::IsScaledBy(recipes::ScaleMethod::kGptq, source.layout, plan, module)) continue;
    const size_t index = source.layout.by_module.at(module);
    by_layer_[source.layout.weights[index].layer].push_back(index);
    first_of_[index] = index;
  }
  for (const recipes::ScaleGroup& group : plan.scale_groups) {
    for (const size_t weight : group.weights) groups_[weight] = &group;
    const auto first = std::ranges::find_if(
        group.inputs, [&](size_t weight) { return first_of_.contains(weight); });
    if (first == group.inputs.end()) continue;
    for (const size_t weight : group.inputs) {
      if (first_of_.contains(weight)) first_of_[weight] = *first;
    }
  }
}

void WeightSolver::BeginLayer(int layer, const std::set<std::string>& solved) {
  needed_.clear();
  global_scales_.clear();
  unsaved_.clear();
  unsaved_bytes_ = 0;
  read_.clear();
  waiting_.clear();
  for (const size_t index : by_layer_[layer]) {
    if (solved.contains(ModuleOf(index))) continue;
    waiting_.push_back(index);
    needed_.insert(ModuleOf(first_of_.at(index)));
  }
}

void WeightSolver::Solve(const LayerState& state, Recorder& recorder) {
  const auto is_ready = [&](size_t index) {
    return AllInputsSeen(source_.layout.weights[index], state);
  };
  std::map<size_t, std::vector<size_t>> ready;
  for (const size_t index : waiting_) {
    if (is_ready(index)) ready[first_of_.at(index)].push_back(index);
  }
  std::erase_if(waiting_, is_ready);
  for (const auto& [first, weights] : ready) SolveTogether(first, weights, recorder);
}

void WeightSolver::SolveTogether(size_t first, std::span<const size_t> weights,
                                 Recorder& recorder) {
  const c10::InferenceMode inference;
  const std::optional<Recorder::Taken> hessian =
      recorder.Take(ModuleOf(first), InputHessian::kName);
  const std::optional<Recorder::Taken> sample = recorder.Take(ModuleOf(first), InputSample::kName);
  needed_.erase(ModuleOf(first));
  Inputs inputs;
  inputs.tokens = hessian ? hessian->rows : 0;
  if (inputs.tokens >= kFewestGptqTokens) {
    const int64_t columns = source_.layout.weights[first].columns();
    inputs.hessian = hessian->elements.view({columns, columns});
    inputs.sample = sample->elements.view({InputSample::kRows, columns})
                        .slice(0, 0, InputSample::CountOf(sample->rows));
    DivideByFold(first, inputs);
    inputs.factor = FactorOf(inputs.hessian);
  }
  for (const size_t index : weights) {
    unsaved_.push_back(SolveWeight(index, inputs));
    unsaved_bytes_ += unsaved_.back().bytes.size();
  }
  read_.clear();
}

// As inputs are behind the weight's fold: divided by its factors.
void WeightSolver::DivideByFold(size_t weight, Inputs& inputs) const {
  const std::vector<float> factors = recipes::RescalingOf(plan_, folds_, weight).column_factors;
  if (factors.empty()) return;
  const at::Tensor divisors = at::tensor(factors).to(inputs.hessian.device());
  inputs.sample = inputs.sample / divisors;
  inputs.hessian.div_(divisors).div_(divisors.unsqueeze(1));
}

run::SolvedWeight WeightSolver::SolveWeight(size_t index, const Inputs& inputs) {
  run::SolvedWeight solved{.module = ModuleOf(index),
                           .method = inputs.hessian.defined() ? kLeftMethod : kFewTokensMethod,
                           .tokens = inputs.tokens,
                           .bytes = {}};
  if (!inputs.factor) return solved;
  const float scale = solved.global_scale = GlobalScaleOf(index);
  const at::Tensor values = ReadValues(index);
  const at::Tensor on_device = values.to(inputs.sample.device());
  const auto finish_gptq = BeginGptq(values, on_device, scale, *inputs.factor);
  const EncodedWeight by_blocks = EncodeByLocalHessian(values, scale, inputs.hessian);
  solved.other_error = solved.error = OutputError(on_device, by_blocks, scale, inputs.sample);
  const EncodedWeight by_gptq = finish_gptq();
  const double error = OutputError(on_device, by_gptq, scale, inputs.sample);
  if (!(error < solved.other_error)) {
    // The next layer is to see what the export will write.
    if (plan_.propagates) solved.bytes = by_blocks.Bytes();
    return solved;
  }
  solved.method = run::kGptqMethod;
  solved.error = error;
  solved.bytes = by_gptq.Bytes();
  return solved;
}

// On the device of the factor, where that can: beside what the CPU does until the result is asked
// for.
std::function<EncodedWeight()> WeightSolver::BeginGptq(const at::Tensor& values,
                                                       const at::Tensor& on_device,
                                                       float global_scale,
                                                       const GptqFactor& factor) {
  if (factor.upper.is_cuda() && !tried_device_) {
    tried_device_ = true;
    on_device_ = GptqOnDevice::Make(factor.upper.device(), device_problem_);
  }
  if (factor.upper.is_cuda() && on_device_) {
    return
        [pending = on_device_->Start(on_device, global_scale, factor)] { return pending.Fetch(); };
  }
  return [=, &factor] { return EncodeOnHost(values, global_scale, factor); };
}

// As folds leave them.
at::Tensor WeightSolver::ReadValues(size_t index) const {
  if (const auto read = read_.find(index); read != read_.end()) return read->second;
  const LogicalWeight& weight = source_.layout.weights[index];
  return ReadWeightRows(source_, reader_, weight, recipes::RescalingOf(plan_, folds_, index), 0,
                        weight.rows());
}

// Of the weight's group, as the export has it.
float WeightSolver::GlobalScaleOf(size_t weight) {
  const recipes::ScaleGroup* group = groups_.at(weight);
  const auto [place, is_new] = global_scales_.try_emplace(group);
  if (!is_new) return place->second;
  float amax = 0;
  for (const size_t member : group->weights) {
    const at::Tensor values = ReadValues(member);
    amax = std::max(amax, AmaxOf(values));
    read_.emplace(member, values);
  }
  return place->second = quantizers::Nvfp4GlobalScale(amax, Nvfp4Search::kLocalHessian);
}

uint64_t WeightSolver::CodeBytesOf(int layer) const {
  uint64_t bytes = 0;
  const auto weights = by_layer_.find(layer);
  if (weights == by_layer_.end()) return 0;
  for (const size_t index : weights->second) {
    const LogicalWeight& weight = source_.layout.weights[index];
    const auto values = static_cast<uint64_t>(weight.rows() * weight.columns());
    bytes += values / 2 + values / kBlock;
  }
  return bytes;
}

std::string WeightSolver::TakeDeviceProblem() { return std::exchange(device_problem_, {}); }

const run::SolvedWeight* WeightSolver::Unsaved(std::string_view module) const {
  const auto found = std::ranges::find(unsaved_, module, &run::SolvedWeight::module);
  return found == unsaved_.end() ? nullptr : &*found;
}

std::vector<run::SolvedWeight> WeightSolver::TakeSolved() {
  unsaved_bytes_ = 0;
  return std::exchange(unsaved_, {});
}

}  // namespace vernier::calib

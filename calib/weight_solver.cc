#include "calib/weight_solver.h"

#include <algorithm>
#include <future>
#include <optional>
#include <utility>

#include "calib/device_nvfp4.h"
#include "calib/encoded_weight.h"
#include "calib/families/linear.h"
#include "calib/gptq_factor.h"
#include "calib/inputs_seen.h"
#include "calib/statistics/input_hessian.h"
#include "calib/statistics/input_sample.h"
#include "checkpoint/weight_decoder.h"
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

// [K / 16, 16, 16] of the Hessian's diagonal, as a search takes it: to a largest element of 1. On
// its device.
at::Tensor DiagonalBlocks(const at::Tensor& hessian) {
  const int64_t blocks = hessian.size(0) / kBlock;
  const at::Tensor by_block = hessian.view({blocks, kBlock, blocks, kBlock});
  const at::Tensor diagonal = by_block.diagonal(0, 0, 2).permute({2, 0, 1});
  const at::Tensor upper = diagonal.triu();
  const at::Tensor whole = upper + upper.triu(1).transpose(1, 2);
  return (whole / whole.abs().max()).contiguous();
}

EncodedWeight EncodeByLocalHessian(const at::Tensor& values, float global_scale,
                                   const at::Tensor& hessians) {
  const at::Tensor blocks = hessians.cpu();
  const quantizers::Nvfp4Options options = {
      .global_scale = global_scale,
      .search = Nvfp4Search::kLocalHessian,
      .local_hessian = {blocks.data_ptr<float>(), static_cast<size_t>(blocks.numel())}};
  return Encode(values, options);
}

// The mean square of the outputs' errors on `inputs` [R, K] F32, on one device with `values`.
double OutputError(const at::Tensor& values, const EncodedWeight& encoded, float global_scale,
                   const at::Tensor& inputs) {
  const at::Tensor errors = Decode(encoded, global_scale, inputs.device()).sub_(values);
  const at::Tensor outputs = LinearF32(inputs, errors);
  return SumOfSquares(outputs) / static_cast<double>(std::max<int64_t>(1, outputs.numel()));
}

}  // namespace

// What is known of the inputs of weights that have the same.
struct WeightSolver::Inputs {
  at::Tensor hessian;  // [K, K] F32, a sum over `tokens`, its upper triangle; undefined: too few
  int64_t tokens = 0;
  at::Tensor sample;  // [R, K] F32
  std::optional<GptqFactor> factor;
  at::Tensor blocks;  // of the factorised: DiagonalBlocks
};

// Weights with the same inputs, those of `first`.
struct WeightSolver::Together {
  size_t first = 0;
  std::vector<size_t> weights;
  Inputs inputs;
  std::map<size_t, at::Tensor> kept;  // values of weights that were kept, as they were loaded
};

// One of them.
struct WeightSolver::Attempt {
  float global_scale = 0;
  at::Tensor values = {}, on_device = {};  // [N, K]
  EncodedWeight by_blocks = {}, by_gptq = {};
};

WeightSolver::WeightSolver(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                           const recipes::FoldScales& folds, TensorLoader& loader,
                           checkpoint::ReadOptions read, SolvedSpool::Options spool)
    : source_(source),
      plan_(plan),
      folds_(folds),
      loader_(loader),
      reader_(source.checkpoint, read),
      first_of_(recipes::SolvedWith(source.layout, plan)),
      solved_(std::move(spool)) {
  for (const auto& [weight, first] : first_of_) {
    by_layer_[source.layout.weights[weight].layer].push_back(weight);
  }
  for (const recipes::ScaleGroup& group : plan.scale_groups) {
    for (const size_t weight : group.weights) groups_[weight] = &group;
  }
}

void WeightSolver::BeginLayer(int layer, const std::set<std::string>& solved) {
  needed_.clear();
  global_scales_.clear();
  solved_.BeginLayer(layer);
  waiting_.clear();
  std::set<const LogicalWeight*> kept;
  for (const size_t index : by_layer_[layer]) {
    if (solved.contains(ModuleOf(index))) continue;
    waiting_.push_back(index);
    needed_.insert(ModuleOf(first_of_.at(index)));
    if (CanKeep(index)) kept.insert(&source_.layout.weights[index]);
  }
  loader_.Keep(std::move(kept));
}

// What the layer computes with is what is solved.
bool WeightSolver::CanKeep(size_t index) const {
  const LogicalWeight& weight = source_.layout.weights[index];
  return loader_.compute_dtype() == at::kFloat ||
         checkpoint::ExactInBf16(source_.checkpoint, weight);
}

// Of values as they were loaded, on any device.
at::Tensor WeightSolver::AsFoldsLeave(size_t index, const at::Tensor& kept) const {
  const LogicalWeight& weight = source_.layout.weights[index];
  at::Tensor values = kept.view({weight.rows(), weight.columns()});
  const checkpoint::Rescaling rescaling = recipes::RescalingOf(plan_, folds_, index);
  if (rescaling.empty()) return values;
  const auto of = [&](const std::vector<float>& factors) {
    return at::tensor(factors).to(values.device());
  };
  values = values.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  if (!rescaling.row_divisors.empty()) values.div_(of(rescaling.row_divisors).unsqueeze(1));
  if (!rescaling.column_factors.empty()) values.mul_(of(rescaling.column_factors));
  return values;
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
  const c10::InferenceMode inference;
  std::vector<Together> solvable;
  for (auto& [first, weights] : ready) {
    Together together{first, std::move(weights), TakeInputs(first, recorder), {}};
    for (const size_t weight : together.weights) {
      at::Tensor values = loader_.TakeKept(source_.layout.weights[weight]);
      if (values.defined()) together.kept.emplace(weight, std::move(values));
    }
    if (together.inputs.hessian.defined()) {
      solvable.push_back(std::move(together));
    } else {
      for (const size_t weight : together.weights) solved_.Add(Left(weight, together.inputs), {});
    }
  }
  SolveInTurn(std::move(solvable));
}

// Values are read while those before them are solved.
void WeightSolver::SolveInTurn(std::vector<Together> all) {
  const auto read = [&](size_t i) {
    return std::async(std::launch::async, [&, i] { return Read(all[i]); });
  };
  std::future<std::vector<Attempt>> reading;
  if (!all.empty()) reading = read(0);
  for (size_t i = 0; i < all.size(); ++i) {
    Factorise(all[i].first, all[i].inputs);
    std::vector<Attempt> attempts = reading.get();
    if (i + 1 < all.size()) reading = read(i + 1);
    SolveTogether(all[i], attempts);
    all[i] = {};
  }
}

void WeightSolver::SolveTogether(const Together& together, std::vector<Attempt>& attempts) {
  const Inputs& inputs = together.inputs;
  if (inputs.factor) EncodeBothWays(inputs, attempts);
  for (size_t i = 0; i < attempts.size(); ++i) {
    run::SolvedWeight solved = Left(together.weights[i], inputs);
    EncodedWeight encoded;
    if (inputs.factor) encoded = Choose(inputs, attempts[i], solved);
    solved_.Add(std::move(solved), std::move(encoded));
  }
}

// What is left to the export, at first.
run::SolvedWeight WeightSolver::Left(size_t weight, const Inputs& inputs) const {
  return {.module = ModuleOf(weight),
          .method = inputs.hessian.defined() ? kLeftMethod : kFewTokensMethod,
          .tokens = inputs.tokens,
          .bytes = {}};
}

WeightSolver::Inputs WeightSolver::TakeInputs(size_t first, Recorder& recorder) {
  const std::optional<Recorder::Taken> hessian =
      recorder.Take(ModuleOf(first), InputHessian::kName);
  const std::optional<Recorder::Taken> sample = recorder.Take(ModuleOf(first), InputSample::kName);
  needed_.erase(ModuleOf(first));
  Inputs inputs;
  inputs.tokens = hessian ? hessian->rows : 0;
  if (inputs.tokens < kFewestGptqTokens) return inputs;
  const int64_t columns = source_.layout.weights[first].columns();
  inputs.hessian = hessian->elements.view({columns, columns});
  inputs.sample = sample->elements.view({InputSample::kRows, columns})
                      .slice(0, 0, InputSample::CountOf(sample->rows));
  return inputs;
}

void WeightSolver::Factorise(size_t first, Inputs& inputs) const {
  DivideByFold(first, inputs);
  inputs.factor = FactorOf(inputs.hessian);
  if (inputs.factor) inputs.blocks = DiagonalBlocks(inputs.hessian);
}

// As inputs are behind the weight's fold: divided by its factors.
void WeightSolver::DivideByFold(size_t weight, Inputs& inputs) const {
  const std::vector<float> factors = recipes::RescalingOf(plan_, folds_, weight).column_factors;
  if (factors.empty()) return;
  const at::Tensor divisors = at::tensor(factors).to(inputs.hessian.device());
  inputs.sample = inputs.sample / divisors;
  inputs.hessian.div_(divisors).div_(divisors.unsqueeze(1));
}

// On the device, where that can: it may still be at work on them.
void WeightSolver::EncodeBothWays(const Inputs& inputs, std::vector<Attempt>& attempts) const {
  const at::Device device = inputs.sample.device();
  const std::optional<DeviceNvfp4> on_device = DeviceNvfp4::Find(device);
  for (Attempt& attempt : attempts) {
    const at::Tensor& values = attempt.values;
    attempt.on_device =
        values.to(device, values.scalar_type(), /*non_blocking=*/values.is_pinned());
    const float scale = attempt.global_scale;
    if (on_device) {
      attempt.by_gptq = on_device->Gptq(attempt.on_device, scale, *inputs.factor);
      attempt.by_blocks = on_device->LocalHessian(attempt.on_device, scale, inputs.blocks);
    } else {
      attempt.by_gptq = EncodeOnHost(values.cpu(), scale, *inputs.factor);
      attempt.by_blocks = EncodeByLocalHessian(values.cpu(), scale, inputs.blocks);
    }
  }
}

// Fills `solved` but for its bytes, which are those of what is returned.
EncodedWeight WeightSolver::Choose(const Inputs& inputs, const Attempt& attempt,
                                   run::SolvedWeight& solved) const {
  const auto error_of = [&](const EncodedWeight& encoded) {
    return OutputError(attempt.on_device, encoded, attempt.global_scale, inputs.sample);
  };
  solved.global_scale = attempt.global_scale;
  solved.other_error = solved.error = error_of(attempt.by_blocks);
  const double error = error_of(attempt.by_gptq);
  if (!(error < solved.other_error)) {
    // The next layer is to see what the export will write.
    return plan_.propagates ? attempt.by_blocks : EncodedWeight();
  }
  solved.method = run::kGptqMethod;
  solved.error = error;
  return attempt.by_gptq;
}

// Values, and the scale of all that an engine fuses with each, as the export has it. Runs beside
// what is done with their inputs.
std::vector<WeightSolver::Attempt> WeightSolver::Read(const Together& together) {
  const c10::InferenceMode inference;
  const bool pinned = loader_.device().is_cuda();
  std::map<size_t, at::Tensor> read;
  for (const auto& [index, values] : together.kept) read[index] = AsFoldsLeave(index, values);
  const auto values_of = [&](size_t index) -> const at::Tensor& {
    const auto [place, is_new] = read.try_emplace(index);
    if (is_new) place->second = ReadValues(index, pinned);
    return place->second;
  };
  std::vector<Attempt> attempts;
  for (const size_t index : together.weights) {
    const recipes::ScaleGroup* group = groups_.at(index);
    const auto [scale, is_new] = global_scales_.try_emplace(group);
    if (is_new) {
      float amax = 0;
      for (const size_t member : group->weights) {
        amax = std::max(amax, AmaxOf(values_of(member)));
      }
      scale->second = quantizers::Nvfp4GlobalScale(amax, Nvfp4Search::kLocalHessian);
    }
    attempts.push_back({.global_scale = scale->second, .values = values_of(index)});
  }
  return attempts;
}

// As folds leave them.
at::Tensor WeightSolver::ReadValues(size_t index, bool pinned) const {
  const LogicalWeight& weight = source_.layout.weights[index];
  return ReadWeightRows(source_, reader_, weight, recipes::RescalingOf(plan_, folds_, index), 0,
                        weight.rows(), pinned);
}

}  // namespace vernier::calib

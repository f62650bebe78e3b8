#include "calib/weight_solver.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "calib/families/row_tiles.h"
#include "calib/gptq_factor.h"
#include "calib/reals.h"
#include "calib/statistics/input_hessian.h"
#include "calib/statistics/input_sample.h"
#include "checkpoint/weight_decoder.h"
#include "quantizers/amax.h"
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
constexpr const char* kGptqMethod = "gptq";
constexpr const char* kLeftMethod = "local_hessian";
constexpr const char* kFewTokensMethod = "few_tokens";

// A weight in NVFP4, rows of both.
struct Encoded {
  std::vector<uint8_t> codes;   // [N * K / 2]
  std::vector<uint8_t> scales;  // [N * K / 16]
};

// Calls `run(begin, end)` on threads, for tiles of a weight's rows.
template <class Run>
void ForWeightRows(int64_t rows, const Run& run) {
  ForRowTiles(at::kCPU, rows, quantizers::kGptqRows, run);
}

// A weight's values [N, K] on the CPU: BF16 where that is exact.
at::Tensor ReadValues(const checkpoint::SourceModel& source, const checkpoint::WeightReader& reader,
                      const LogicalWeight& weight) {
  const bool is_bf16 = checkpoint::ExactInBf16(source.checkpoint, weight);
  const int64_t columns = weight.columns();
  at::Tensor values = at::empty({weight.rows(), columns}, is_bf16 ? at::kBFloat16 : at::kFloat);
  ForWeightRows(weight.rows(), [&](int64_t begin, int64_t end) {
    const auto count = static_cast<size_t>((end - begin) * columns);
    if (is_bf16) {
      auto* bits = reinterpret_cast<uint16_t*>(values.data_ptr<at::BFloat16>());
      reader.ReadBf16(weight, begin, end - begin, {bits + begin * columns, count});
    } else {
      float* reals = values.data_ptr<float>();
      reader.ReadF32(weight, begin, end - begin, {reals + begin * columns, count});
    }
  });
  return values;
}

// Of rows [begin, end) of `columns` values, so many to a byte.
template <class Byte>
std::span<Byte> BytesOfRows(std::span<Byte> all, int64_t begin, int64_t end, int64_t columns,
                            int64_t values_per_byte) {
  return all.subspan(static_cast<size_t>(begin * columns / values_per_byte),
                     static_cast<size_t>((end - begin) * columns / values_per_byte));
}

// Calls `encode(rows' values, their codes, their scales)` on threads, for tiles of rows.
template <class Encode>
Encoded EncodeRows(const at::Tensor& values, const Encode& encode) {
  const int64_t columns = values.size(1);
  const auto size = static_cast<size_t>(values.numel());
  Encoded encoded{std::vector<uint8_t>(size / 2), std::vector<uint8_t>(size / kBlock)};
  ForWeightRows(values.size(0), [&](int64_t begin, int64_t end) {
    encode(RealsOf(values, begin * columns, (end - begin) * columns),
           BytesOfRows(std::span(encoded.codes), begin, end, columns, 2),
           BytesOfRows(std::span(encoded.scales), begin, end, columns, kBlock));
  });
  return encoded;
}

Encoded EncodeByGptq(const at::Tensor& values, float global_scale, const GptqFactor& factor) {
  const auto size = static_cast<size_t>(factor.upper.numel());
  const quantizers::Nvfp4GptqOptions options = {.global_scale = global_scale,
                                                .order = factor.order,
                                                .factor = {factor.upper.data_ptr<float>(), size}};
  return EncodeRows(values, [&](auto rows, auto codes, auto scales) {
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

Encoded EncodeByLocalHessian(const at::Tensor& values, float global_scale,
                             const at::Tensor& hessian) {
  const at::Tensor blocks = DiagonalBlocks(hessian);
  const quantizers::Nvfp4Options options = {
      .global_scale = global_scale,
      .search = Nvfp4Search::kLocalHessian,
      .local_hessian = {blocks.data_ptr<float>(), static_cast<size_t>(blocks.numel())}};
  return EncodeRows(values, [&](auto rows, auto codes, auto scales) {
    quantizers::QuantizeNvfp4(rows, values.size(1), options, codes, scales);
  });
}

// What became of a weight, less its values [N, K] F32.
at::Tensor ErrorsOf(const at::Tensor& values, const Encoded& encoded, float global_scale) {
  const int64_t columns = values.size(1);
  at::Tensor errors = at::empty(values.sizes(), at::kFloat);
  ForWeightRows(values.size(0), [&](int64_t begin, int64_t end) {
    const auto size = static_cast<size_t>((end - begin) * columns);
    quantizers::DequantizeNvfp4(BytesOfRows(std::span(encoded.codes), begin, end, columns, 2),
                                BytesOfRows(std::span(encoded.scales), begin, end, columns, kBlock),
                                columns, global_scale,
                                std::span(errors.data_ptr<float>() + begin * columns, size));
    errors.slice(0, begin, end).sub_(values.slice(0, begin, end));
  });
  return errors;
}

// The mean square of the outputs' errors on `inputs` [R, K] F32.
double OutputError(const at::Tensor& values, const Encoded& encoded, float global_scale,
                   const at::Tensor& inputs) {
  const at::Tensor errors = ErrorsOf(values, encoded, global_scale).to(inputs.device());
  return inputs.mm(errors.t()).square().mean().item<double>();
}

std::vector<std::byte> BytesOf(const Encoded& encoded) {
  std::vector<std::byte> bytes(encoded.codes.size() + encoded.scales.size());
  const auto codes = std::as_bytes(std::span(encoded.codes));
  const auto scales = std::as_bytes(std::span(encoded.scales));
  std::ranges::copy(scales, std::ranges::copy(codes, bytes.begin()).out);
  return bytes;
}

// Whether all that a weight's inputs are was seen.
bool IsReady(const LogicalWeight& weight, const LayerState& state) {
  if (state.Fraction() >= 1) return true;
  const LayerPlace& place = state.place();
  if (place.stage == LayerStage::kDense) return false;
  if (weight.expert < 0 || place.stage == LayerStage::kFinish) return true;
  return weight.expert < place.next;
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
                           checkpoint::ReadOptions read)
    : source_(source), plan_(plan), reader_(source.checkpoint, read) {
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
  waiting_.clear();
  for (const size_t index : by_layer_[layer]) {
    if (solved.contains(ModuleOf(index))) continue;
    waiting_.push_back(index);
    needed_.insert(ModuleOf(first_of_.at(index)));
  }
}

void WeightSolver::Solve(const LayerState& state, Recorder& recorder) {
  const auto is_ready = [&](size_t index) { return IsReady(source_.layout.weights[index], state); };
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
    inputs.factor = FactorOf(inputs.hessian);
  }
  for (const size_t index : weights) {
    unsaved_.push_back(SolveWeight(index, inputs));
    unsaved_bytes_ += unsaved_.back().bytes.size();
  }
}

run::SolvedWeight WeightSolver::SolveWeight(size_t index, const Inputs& inputs) {
  run::SolvedWeight solved{.module = ModuleOf(index),
                           .method = inputs.hessian.defined() ? kLeftMethod : kFewTokensMethod,
                           .tokens = inputs.tokens,
                           .bytes = {}};
  if (!inputs.factor) return solved;
  const at::Tensor values = ReadValues(source_, reader_, source_.layout.weights[index]);
  const float scale = solved.global_scale = GlobalScaleOf(index);
  const Encoded by_blocks = EncodeByLocalHessian(values, scale, inputs.hessian);
  solved.other_error = solved.error = OutputError(values, by_blocks, scale, inputs.sample);
  const Encoded by_gptq = EncodeByGptq(values, scale, *inputs.factor);
  const double error = OutputError(values, by_gptq, scale, inputs.sample);
  if (!(error < solved.other_error)) return solved;
  solved.method = kGptqMethod;
  solved.error = error;
  solved.bytes = BytesOf(by_gptq);
  return solved;
}

// Of the weight's group, as the export has it.
float WeightSolver::GlobalScaleOf(size_t weight) {
  const recipes::ScaleGroup* group = groups_.at(weight);
  const auto [place, is_new] = global_scales_.try_emplace(group);
  if (!is_new) return place->second;
  float amax = 0;
  for (const size_t member : group->weights) {
    const at::Tensor values = ReadValues(source_, reader_, source_.layout.weights[member]);
    amax = std::max(amax, quantizers::FindAmax(RealsOf(values, 0, values.numel())).value);
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

std::vector<run::SolvedWeight> WeightSolver::TakeSolved() {
  unsaved_bytes_ = 0;
  return std::exchange(unsaved_, {});
}

}  // namespace vernier::calib

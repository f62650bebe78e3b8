#include "calib/layer_loop.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cassert>
#include <future>
#include <optional>
#include <string>
#include <utility>

namespace vernier::calib {
namespace {

// Shares of a layer's progress: the dense part, the routed experts, and finishing.
constexpr double kDenseShare = 0.45;
constexpr double kExpertShare = 0.5;

std::vector<std::vector<int64_t>> SplitIntoGroups(const std::vector<int64_t>& experts,
                                                  int64_t per_group) {
  assert(per_group > 0);
  std::vector<std::vector<int64_t>> groups;
  for (size_t i = 0; i < experts.size(); ++i) {
    if (i % static_cast<size_t>(per_group) == 0) groups.emplace_back();
    groups.back().push_back(experts[i]);
  }
  return groups;
}

}  // namespace

// The rows of one batch that chose an expert, with their routing weights.
struct LayerLoop::ExpertRows {
  at::Tensor rows;     // [r] I64, on the device
  at::Tensor weights;  // [r, 1] F32, on the device
};

// What a layer keeps for all samples between its dense part and its end.
struct LayerLoop::LayerState {
  explicit LayerState(int64_t experts) : tokens_of_expert(static_cast<size_t>(experts)) {}

  bool HasRoutedExperts() const { return !tokens_of_expert.empty(); }

  std::optional<SampleBuffer> x, y, mix;
  // [batch]: experts and weights [T, k] on the host; expert -1 marks a padding row.
  std::vector<at::Tensor> chosen, chosen_weights;
  std::vector<int64_t> tokens_of_expert;
};

LayerLoop::LayerLoop(const Decoder& decoder, const datasets::CalibrationSet& tokens,
                     at::Device device, at::ScalarType compute_dtype, LayerLoopOptions options)
    : decoder_(&decoder),
      tokens_(&tokens),
      device_(device),
      compute_dtype_(compute_dtype),
      options_(std::move(options)) {
  assert(options_.batch_size > 0 && options_.query_chunk > 0);
}

int64_t LayerLoop::Batches() const {
  return (tokens_->samples + options_.batch_size - 1) / options_.batch_size;
}

int64_t LayerLoop::BatchSamples(int64_t batch) const {
  return std::min(options_.batch_size, tokens_->samples - batch * options_.batch_size);
}

TokenBatch LayerLoop::MakeBatch(int64_t batch) const {
  const int64_t first = batch * options_.batch_size;
  const int64_t count = BatchSamples(batch);
  const int64_t length = tokens_->sequence_length;
  at::Tensor ids = at::empty({count, length}, at::kLong);
  std::copy_n(tokens_->ids.begin() + first * length, count * length, ids.data_ptr<int64_t>());

  TokenBatch made;
  made.ids = ids.to(device_);
  const auto lengths =
      std::span(tokens_->lengths).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
  if (std::ranges::any_of(lengths, [&](int32_t real) { return real < length; })) {
    const at::Tensor real_lengths = at::empty({count, 1}, at::kLong);
    std::ranges::copy(lengths, real_lengths.data_ptr<int64_t>());
    made.real = at::arange(length).unsqueeze(0).lt(real_lengths).to(device_);
  }
  return made;
}

SampleBuffer LayerLoop::MakeBuffer(std::string_view file_name, std::vector<int64_t> sample_shape,
                                   at::ScalarType dtype) const {
  if (options_.spill_directory.empty()) {
    return SampleBuffer::InMemory(tokens_->samples, std::move(sample_shape), dtype);
  }
  return SampleBuffer::InFile(options_.spill_directory / file_name, tokens_->samples,
                              std::move(sample_shape), dtype);
}

std::vector<int64_t> LayerLoop::HiddenSampleShape() const {
  std::vector<int64_t> shape = {tokens_->sequence_length};
  const std::vector<int64_t> position = decoder_->HiddenShape();
  shape.insert(shape.end(), position.begin(), position.end());
  return shape;
}

SampleBuffer LayerLoop::MakeHiddenBuffer(std::string_view file_name) const {
  return MakeBuffer(file_name, HiddenSampleShape(), compute_dtype_);
}

void LayerLoop::Embed(SampleBuffer& hidden) const {
  const c10::InferenceMode inference;
  for (int64_t batch = 0; batch < Batches(); ++batch) {
    hidden.Put(batch * options_.batch_size, decoder_->Embed(MakeBatch(batch).ids));
  }
}

void LayerLoop::RunLayer(int64_t layer, const SampleBuffer& in, SampleBuffer& out,
                         InputObserver& observer, const LayerProgress& progress) const {
  const c10::InferenceMode inference;
  const std::unique_ptr<DecoderLayer> dense = decoder_->LoadLayer(layer, options_.query_chunk);
  LayerState state(decoder_->Experts(layer));
  RunDensePart(*dense, in, out, state, observer, progress);
  if (!state.HasRoutedExperts()) return;

  RunExperts(layer, state, observer, progress);
  for (int64_t batch = 0; batch < Batches(); ++batch) {
    const int64_t first = batch * options_.batch_size;
    const int64_t count = BatchSamples(batch);
    const at::Tensor y = state.y->Get(first, count).to(device_).flatten(0, 1);
    const at::Tensor mix = state.mix->Get(first, count).to(device_).flatten(0, 1);
    out.Put(first, dense->Finish(out.Get(first, count).to(device_), y, mix));
  }
  progress(1.0);
}

void LayerLoop::RunDensePart(DecoderLayer& dense, const SampleBuffer& in, SampleBuffer& out,
                             LayerState& state, InputObserver& observer,
                             const LayerProgress& progress) const {
  const double share = state.HasRoutedExperts() ? kDenseShare : 1.0;
  for (int64_t batch = 0; batch < Batches(); ++batch) {
    const int64_t first = batch * options_.batch_size;
    const TokenBatch tokens = MakeBatch(batch);
    const at::Tensor hidden = in.Get(first, BatchSamples(batch)).to(device_);
    const FfnStage stage = dense.RunUntilExperts(hidden, tokens, observer);
    if (state.HasRoutedExperts()) {
      out.Put(first, stage.hidden);
      KeepFfnStage(batch, tokens, stage, state);
    } else {
      out.Put(first, dense.Finish(stage.hidden, stage.y, stage.mix));
    }
    progress(share * static_cast<double>(batch + 1) / static_cast<double>(Batches()));
  }
}

void LayerLoop::KeepFfnStage(int64_t batch, const TokenBatch& tokens, const FfnStage& stage,
                             LayerState& state) const {
  const int64_t length = tokens_->sequence_length;
  const int64_t first = batch * options_.batch_size;
  const auto keep = [&](std::optional<SampleBuffer>& buffer, std::string_view file_name,
                        const at::Tensor& values) {
    if (!buffer) {
      buffer = MakeBuffer(file_name, {length, values.size(-1)}, values.scalar_type());
    }
    buffer->Put(first, values.view({-1, length, values.size(-1)}));
  };
  keep(state.x, "ffn-input.scratch", stage.x);
  keep(state.y, "ffn-sum.scratch", stage.y);
  keep(state.mix, "ffn-mix.scratch", stage.mix);

  at::Tensor experts = stage.routing.experts;
  if (tokens.real.defined()) {
    experts = experts.masked_fill(tokens.real.view({-1, 1}).logical_not(), -1);
  }
  state.chosen.push_back(experts.to(at::kCPU));
  state.chosen_weights.push_back(stage.routing.weights.to(at::kCPU));
  const at::Tensor real = state.chosen.back().masked_select(state.chosen.back().ge(0));
  const at::Tensor counts =
      at::bincount(real, {}, static_cast<int64_t>(state.tokens_of_expert.size()));
  for (size_t expert = 0; expert < state.tokens_of_expert.size(); ++expert) {
    state.tokens_of_expert[expert] += counts.data_ptr<int64_t>()[expert];
  }
}

std::vector<ExpertWeights> LayerLoop::LoadGroup(int64_t layer,
                                                const std::vector<int64_t>& experts) const {
  std::vector<ExpertWeights> weights(experts.size());
  tbb::parallel_for(size_t{0}, experts.size(),
                    [&](size_t i) { weights[i] = decoder_->LoadExpert(layer, experts[i]); });
  return weights;
}

void LayerLoop::RunExperts(int64_t layer, LayerState& state, InputObserver& observer,
                           const LayerProgress& progress) const {
  std::vector<int64_t> used;
  for (size_t expert = 0; expert < state.tokens_of_expert.size(); ++expert) {
    if (options_.all_experts || state.tokens_of_expert[expert] > 0) {
      used.push_back(static_cast<int64_t>(expert));
    }
  }
  const auto groups = SplitIntoGroups(used, options_.experts_per_group);
  const auto load = [&](size_t group) {
    return std::async(std::launch::async, [&, group] { return LoadGroup(layer, groups[group]); });
  };
  std::future<std::vector<ExpertWeights>> next;
  if (!groups.empty()) next = load(0);
  for (size_t group = 0; group < groups.size(); ++group) {
    std::vector<ExpertWeights> weights = next.get();
    if (group + 1 < groups.size()) next = load(group + 1);
    for (ExpertWeights& expert : weights) {
      for (at::Tensor& weight : expert) weight = weight.to(device_);
    }
    RunExpertGroup(layer, groups[group], weights, state, observer);
    progress(kDenseShare +
             kExpertShare * static_cast<double>(group + 1) / static_cast<double>(groups.size()));
  }
}

void LayerLoop::RunExpertGroup(int64_t layer, const std::vector<int64_t>& experts,
                               const std::vector<ExpertWeights>& weights, LayerState& state,
                               InputObserver& observer) const {
  InputObserver nobody({});
  for (int64_t batch = 0; batch < Batches(); ++batch) {
    const int64_t first = batch * options_.batch_size;
    const int64_t count = BatchSamples(batch);
    const at::Tensor x = state.x->Get(first, count).to(device_).flatten(0, 1);
    at::Tensor y = state.y->Get(first, count).to(device_).flatten(0, 1);
    if (options_.all_experts) {
      const at::Tensor real = MakeBatch(batch).RealRows(x);
      for (size_t i = 0; i < experts.size(); ++i) {
        decoder_->RunExpert(layer, experts[i], weights[i], real, observer);
      }
    }
    for (size_t i = 0; i < experts.size(); ++i) {
      const ExpertRows routed = RowsOfExpert(batch, experts[i], state);
      if (routed.rows.size(0) == 0) continue;
      const at::Tensor out =
          decoder_->RunExpert(layer, experts[i], weights[i], x.index_select(0, routed.rows),
                              options_.all_experts ? nobody : observer);
      y.index_add_(0, routed.rows, out.to(at::kFloat) * routed.weights);
    }
    state.y->Put(first, y.view({count, tokens_->sequence_length, -1}));
  }
}

LayerLoop::ExpertRows LayerLoop::RowsOfExpert(int64_t batch, int64_t expert,
                                              const LayerState& state) const {
  const at::Tensor& chosen = state.chosen[static_cast<size_t>(batch)];
  const at::Tensor hits = chosen.eq(expert).nonzero();  // [r, 2]: row, choice; rows ascend
  const at::Tensor rows = hits.select(1, 0);
  const at::Tensor weights =
      state.chosen_weights[static_cast<size_t>(batch)].index({rows, hits.select(1, 1)});
  return {rows.to(device_), weights.unsqueeze(1).to(device_)};
}

void LayerLoop::ForEachLogits(
    const SampleBuffer& hidden,
    const std::function<void(int64_t, const at::Tensor&, const at::Tensor&)>& use) const {
  const c10::InferenceMode inference;
  for (int64_t batch = 0; batch < Batches(); ++batch) {
    const int64_t first = batch * options_.batch_size;
    const at::Tensor values = hidden.Get(first, BatchSamples(batch)).to(device_);
    use(first, MakeBatch(batch).ids.to(at::kCPU), decoder_->Logits(values));
  }
}

}  // namespace vernier::calib

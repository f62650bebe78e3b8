#include "calib/layer_loop.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <string>
#include <utility>

#include "calib/bad_input_finder.h"
#include "calib/block_shares.h"
#include "calib/budget/loop_constants.h"
#include "calib/expert_pass.h"

namespace vernier::calib {
namespace {

std::string LayerName(int64_t layer) { return fmt::format("layers.{}", layer); }

// Of temporaries and weights that are gone, to the machine: the heaps of threads that read weights
// would keep it while the next stage fills another.
void ReturnFreeMemory() { malloc_trim(0); }

// Before their tokens are routed: whether to read all experts of a layer.
bool MostExpertsAreChosen(const LayerShape& shape) {
  constexpr int64_t kChoicesPerExpert = 4;
  return shape.samples * shape.length * shape.experts_per_token >=
         kChoicesPerExpert * shape.experts;
}

void ShowBlock(Tap& tap, const std::string& block, const TokenBatch& tokens,
               const at::Tensor& before, const at::Tensor& after) {
  if (tap.Wants(block)) tap.ObserveBlock(block, tokens.RealRows(SharesOf(before, after)));
}

// The parts of a stage that a bad activation inside it reaches.
std::array<at::Tensor, 3> Watched(const FfnStage& stage) {
  return {stage.hidden, stage.x, stage.y};
}

}  // namespace

LayerLoop::LayerLoop(const Decoder& decoder, const datasets::CalibrationSet& tokens,
                     at::Device device, at::ScalarType compute_dtype, LayerLoopOptions options)
    : decoder_(&decoder),
      tokens_(&tokens),
      compute_dtype_(compute_dtype),
      options_(std::move(options)),
      batches_(tokens, options_.batch_size, device),
      chunks_(tokens, SamplesPerChunk(options_.batch_size, tokens.sequence_length), device) {
  assert(options_.query_chunk > 0);
}

SampleBuffer LayerLoop::MakeBuffer(std::string_view file_name, std::vector<int64_t> sample_shape,
                                   at::ScalarType dtype) const {
  if (options_.spill_directory.empty()) {
    sample_shape.insert(sample_shape.begin(), tokens_->samples);
    return SampleBuffer::Over(Memory(sample_shape, dtype));
  }
  return SampleBuffer::InFile(options_.spill_directory / file_name, tokens_->samples,
                              std::move(sample_shape), dtype);
}

// A buffer of every layer is made anew, and fresh pages of the host cost more than what is done
// with them.
at::Tensor LayerLoop::Memory(const std::vector<int64_t>& shape, at::ScalarType dtype) const {
  for (const at::Tensor& memory : spare_) {
    const bool is_free = memory.storage().use_count() == 1;
    if (is_free && memory.scalar_type() == dtype && memory.sizes() == shape) return memory.alias();
  }
  const bool pinned = !options_.hidden_on_device && !device().is_cpu();
  const at::Device place = options_.hidden_on_device ? device() : at::Device(at::kCPU);
  spare_.push_back(
      at::empty(shape, at::TensorOptions().dtype(dtype).device(place).pinned_memory(pinned)));
  return spare_.back().alias();
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
  const StageClock clock(options_.times, "embedding");
  const c10::InferenceMode inference;
  for (int64_t first = 0; first < batches_.samples(); first = batches_.At(first).end()) {
    hidden.Put(first, decoder_->Embed(batches_.Tokens(batches_.At(first)).ids));
  }
}

LayerState LayerLoop::MakeState(int64_t layer, std::shared_ptr<SampleBuffer> in,
                                const std::set<std::string>& existing) const {
  LayerShape shape = {.samples = tokens_->samples,
                      .hidden = HiddenSampleShape(),
                      .length = tokens_->sequence_length,
                      .width = decoder_->HiddenShape().back(),
                      .mix = decoder_->MixWidth(),
                      .experts = decoder_->Experts(layer),
                      .experts_per_token = decoder_->ExpertsPerToken(),
                      .dtype = compute_dtype_};
  // The sums may have been saved in their second file.
  const bool swapped = existing.contains(LayerPartFileName(layer, LayerPart::kSum, true));
  const auto make = [this, layer, existing, swapped](LayerPart part, bool spare,
                                                     std::vector<int64_t> sample_shape,
                                                     at::ScalarType dtype) {
    const bool second = part == LayerPart::kSum && spare != swapped;
    const std::string file_name = LayerPartFileName(layer, part, second);
    if (options_.spill_directory.empty() || !existing.contains(file_name)) {
      return MakeBuffer(file_name, std::move(sample_shape), dtype);
    }
    return SampleBuffer::OpenFile(options_.spill_directory / file_name, tokens_->samples,
                                  std::move(sample_shape), dtype);
  };
  return LayerState(std::move(shape), std::move(in), make);
}

void LayerLoop::RunLayer(int64_t layer, LayerState& state, NonFiniteGuard& guard,
                         const UnitDone& unit_done, std::optional<int64_t> next_layer) const {
  const c10::InferenceMode inference;
  const std::unique_ptr<DecoderLayer> dense = LoadDense(layer, state, next_layer);
  if (state.place().stage == LayerStage::kDense) {
    RunDensePart(layer, *dense, state, guard, unit_done);
  }
  if (!state.routed()) return;
  ReturnFreeMemory();
  if (state.place().stage == LayerStage::kExperts) {
    const ExpertPassOptions options = {.layer = layer,
                                       .next_layer = next_layer,
                                       .experts_per_group = options_.experts_per_group,
                                       .all_experts = options_.all_experts,
                                       .times = options_.times};
    ExpertPass(*decoder_, chunks_, options, state, guard).Run([&] { unit_done(state); });
  }
  ReturnFreeMemory();
  RunFinish(layer, *dense, state, guard, unit_done);
}

std::unique_ptr<DecoderLayer> LayerLoop::LoadDense(int64_t layer, const LayerState& state,
                                                   std::optional<int64_t> next_layer) const {
  const StageClock clock(options_.times, "dense weights");
  decoder_->ReadAhead({.layer = layer, .dense = true});
  std::unique_ptr<DecoderLayer> dense = decoder_->LoadLayer(layer, options_.query_chunk);
  ReadAheadBehind(layer, state, next_layer);
  decoder_->CheckWeights();
  return dense;
}

void LayerLoop::ReadAheadBehind(int64_t layer, const LayerState& state,
                                std::optional<int64_t> next_layer) const {
  UpcomingWeights next{.layer = layer};
  if (!state.routed() || state.place().stage == LayerStage::kFinish) {
    next.next_layer = next_layer;
  } else if (MostExpertsAreChosen(state.shape())) {
    const bool begun = state.place().stage == LayerStage::kExperts;
    for (int64_t i = begun ? state.place().next : 0; i < state.shape().experts; ++i) {
      next.experts.push_back(i);
    }
  }
  decoder_->ReadAhead(next);
}

void LayerLoop::RunDensePart(int64_t layer, DecoderLayer& dense, LayerState& state,
                             NonFiniteGuard& guard, const UnitDone& unit_done) const {
  for (int64_t first = state.place().next; first < batches_.samples();) {
    const Batch batch = batches_.At(first);
    {
      const StageClock clock(options_.times, "dense");
      const FfnStage stage = RunDenseBatch(layer, dense, batch, state, guard);
      if (state.routed()) {
        KeepFfnStage(batch, stage, state);
      } else {
        const at::Tensor out = dense.Finish(stage.hidden, stage.y, stage.mix);
        PutOutput(layer, batch, stage.hidden, out, state, guard);
      }
    }
    first = batch.end();
    state.MoveTo({LayerStage::kDense, first});
    unit_done(state);
  }
}

FfnStage LayerLoop::RunDenseBatch(int64_t layer, DecoderLayer& dense, const Batch& batch,
                                  const LayerState& state, NonFiniteGuard& guard) const {
  const TokenBatch tokens = batches_.Tokens(batch);
  const at::Tensor hidden = batches_.Get(state.in(), batch);
  guard.SetSamples(batches_.SamplesOfTokens(batch));
  FfnStage stage = dense.RunUntilExperts(hidden, tokens, guard);
  ShowBlock(guard, recipes::AttentionBlock(layer), tokens, hidden, stage.hidden);
  guard.EndBatch();
  guard.SetSamples(batch.Samples());
  for (at::Tensor* part : {&stage.hidden, &stage.x, &stage.y, &stage.routing.weights}) {
    *part = guard.Clamp(LayerName(layer), *part);
  }
  if (guard.IsGood(Watched(stage)) && guard.TapIsGood()) return stage;

  // Once more, looking at each step.
  BadInputFinder inputs(layer, batches_.SamplesOfTokens(batch));
  dense.RunUntilExperts(hidden, tokens, inputs);
  const BadInputFinder states(layer, batch.Samples());
  for (const at::Tensor& part : Watched(stage)) {
    states.Check(LayerName(layer), "a hidden state", part);
  }
  return stage;
}

void LayerLoop::KeepFfnStage(const Batch& batch, const FfnStage& stage, LayerState& state) const {
  at::Tensor experts = stage.routing.experts;
  const TokenBatch tokens = batches_.Tokens(batch);
  if (tokens.real.defined()) {
    experts = experts.masked_fill(tokens.real.view({-1, 1}).logical_not(), -1);
  }
  const auto keep = [&](LayerPart part, const at::Tensor& values) {
    state.part(part).Put(batch.first, values.reshape({batch.count, batches_.length(), -1}));
  };
  state.part(LayerPart::kMiddle).Put(batch.first, stage.hidden);
  keep(LayerPart::kExpertInput, stage.x);
  keep(LayerPart::kSum, stage.y);
  if (state.Has(LayerPart::kMix)) keep(LayerPart::kMix, stage.mix);
  keep(LayerPart::kRoutingExperts, experts);
  keep(LayerPart::kRoutingWeights, stage.routing.weights);
}

void LayerLoop::RunFinish(int64_t layer, DecoderLayer& dense, LayerState& state,
                          NonFiniteGuard& guard, const UnitDone& unit_done) const {
  for (int64_t first = state.place().next; first < batches_.samples();) {
    const Batch batch = batches_.At(first);
    FinishBatch(layer, dense, batch, state, guard);
    first = batch.end();
    state.MoveTo({LayerStage::kFinish, first});
    unit_done(state);
  }
}

void LayerLoop::FinishBatch(int64_t layer, DecoderLayer& dense, const Batch& batch,
                            LayerState& state, NonFiniteGuard& guard) const {
  const StageClock clock(options_.times, "finish");
  const at::Tensor hidden = batches_.Get(state.part(LayerPart::kMiddle), batch);
  const at::Tensor y = batches_.Get(state.part(LayerPart::kSum), batch).flatten(0, 1);
  at::Tensor mix;
  if (state.Has(LayerPart::kMix)) {
    mix = batches_.Get(state.part(LayerPart::kMix), batch).flatten(0, 1);
  }
  PutOutput(layer, batch, hidden, dense.Finish(hidden, y, mix), state, guard);
}

void LayerLoop::PutOutput(int64_t layer, const Batch& batch, const at::Tensor& before_ffn,
                          const at::Tensor& hidden, LayerState& state,
                          NonFiniteGuard& guard) const {
  const at::Tensor out = CheckedOutput(layer, batch, hidden, guard);
  // First: what was before the FFN may lie where the output goes.
  ShowBlock(guard, recipes::FfnBlock(layer), batches_.Tokens(batch), before_ffn, out);
  state.part(LayerPart::kOut).Put(batch.first, out);
}

at::Tensor LayerLoop::CheckedOutput(int64_t layer, const Batch& batch, const at::Tensor& hidden,
                                    NonFiniteGuard& guard) const {
  guard.SetSamples(batch.Samples());
  at::Tensor out = guard.Clamp(LayerName(layer), hidden);
  if (!guard.IsGood(out)) {
    BadInputFinder(layer, batch.Samples()).Check(LayerName(layer), "a hidden state", out);
  }
  return out;
}

void LayerLoop::ForEachLogits(
    const SampleBuffer& hidden,
    const std::function<void(int64_t, const at::Tensor&, const at::Tensor&)>& use) const {
  const c10::InferenceMode inference;
  const std::unique_ptr<Head> head = decoder_->LoadHead();
  for (int64_t first = 0; first < batches_.samples(); first = batches_.At(first).end()) {
    const Batch batch = batches_.At(first);
    use(first, batches_.Tokens(batch).ids.to(at::kCPU), head->Logits(batches_.Get(hidden, batch)));
  }
}

}  // namespace vernier::calib

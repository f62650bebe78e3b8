// Runs all samples through a model one layer at a time, routed experts in groups.
#ifndef VERNIER_CALIB_LAYER_LOOP_H_
#define VERNIER_CALIB_LAYER_LOOP_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/stage_times.h"
#include "calib/batches.h"
#include "calib/families/decoder.h"
#include "calib/layer_state.h"
#include "calib/non_finite_guard.h"
#include "calib/sample_buffer.h"
#include "datasets/calibration_set.h"

namespace vernier::calib {

struct LayerLoopOptions {
  int64_t batch_size = 1;         // sequences at a time
  int64_t query_chunk = 256;      // queries whose attention scores exist at once
  int64_t experts_per_group = 1;  // routed experts that make a unit of work
  bool all_experts = false;       // every expert observes every token; outputs do not change
  bool hidden_on_device = false;  // buffers in memory are on the device, not on the host
  std::filesystem::path spill_directory = {};  // buffers live in files here; empty: in memory
  StageTimes* times = nullptr;                 // of the layers' stages; null: nobody asks
};

// Called between two units of a layer's work: `state` can be saved now and gone on from later. What
// it throws ends the layer.
using UnitDone = std::function<void(LayerState& state)>;

// What exists at once: the samples' hidden states at one layer boundary with this layer's FFN
// inputs and sums (LayerState), one layer's dense weights, one group of experts and the next one
// being read, and one batch's temporaries. Sums run over experts in ascending order whatever the
// groups, so results do not depend on the budget. Not thread-safe.
class LayerLoop {
 public:
  // `decoder` and `tokens` must outlive the loop.
  LayerLoop(const Decoder& decoder, const datasets::CalibrationSet& tokens, at::Device device,
            at::ScalarType compute_dtype, LayerLoopOptions options);

  // A buffer for a tensor of every sample: in memory, or in `file_name` of the spill directory.
  SampleBuffer MakeBuffer(std::string_view file_name, std::vector<int64_t> sample_shape,
                          at::ScalarType dtype) const;
  // One for hidden states.
  SampleBuffer MakeHiddenBuffer(std::string_view file_name) const;
  std::vector<int64_t> HiddenSampleShape() const;
  at::ScalarType compute_dtype() const { return compute_dtype_; }
  at::Device device() const { return batches_.device(); }

  // hidden := embedding of all samples.
  void Embed(SampleBuffer& hidden) const;

  // A layer that nothing is done of, behind the hidden states `in`. `existing`: names of files in
  // the spill directory that are opened as they are, not created.
  LayerState MakeState(int64_t layer, std::shared_ptr<SampleBuffer> in,
                       const std::set<std::string>& existing = {}) const;

  // Does what is left of a layer; its part kOut then holds the hidden states behind it. Observes
  // the inputs of linear layers over all real tokens. An activation that is NaN or infinite is
  // kBadActivation naming module, sample and value, or is clamped if the guard does that.
  // `next_layer`: the one that comes then, whose weights are read as soon as this one's are.
  void RunLayer(int64_t layer, LayerState& state, NonFiniteGuard& guard, const UnitDone& unit_done,
                std::optional<int64_t> next_layer = {}) const;

  // Forgets the memory of buffers that nobody uses any more.
  void ReleaseBuffers() const { spare_.clear(); }

  // Calls `use(first_sample, token ids [B, S] on the host, logits [B, S, V] F32 on the device)`
  // batch by batch for hidden states behind the last layer.
  void ForEachLogits(
      const SampleBuffer& hidden,
      const std::function<void(int64_t, const at::Tensor&, const at::Tensor&)>& use) const;

 private:
  // Of a buffer in memory: used before, if that is free again.
  at::Tensor Memory(const std::vector<int64_t>& shape, at::ScalarType dtype) const;
  std::unique_ptr<DecoderLayer> LoadDense(int64_t layer, const LayerState& state,
                                          std::optional<int64_t> next_layer) const;
  // Tells what is loaded once the layer's dense weights are.
  void ReadAheadBehind(int64_t layer, const LayerState& state,
                       std::optional<int64_t> next_layer) const;
  void RunDensePart(int64_t layer, DecoderLayer& dense, LayerState& state, NonFiniteGuard& guard,
                    const UnitDone& unit_done) const;
  FfnStage RunDenseBatch(int64_t layer, DecoderLayer& dense, const Batch& batch,
                         const LayerState& state, NonFiniteGuard& guard) const;
  void KeepFfnStage(const Batch& batch, const FfnStage& stage, LayerState& state) const;
  void RunFinish(int64_t layer, DecoderLayer& dense, LayerState& state, NonFiniteGuard& guard,
                 const UnitDone& unit_done) const;
  void FinishBatch(int64_t layer, DecoderLayer& dense, const Batch& batch, LayerState& state,
                   NonFiniteGuard& guard) const;
  // `hidden`: what the FFN made of `before_ffn`.
  void PutOutput(int64_t layer, const Batch& batch, const at::Tensor& before_ffn,
                 const at::Tensor& hidden, LayerState& state, NonFiniteGuard& guard) const;
  at::Tensor CheckedOutput(int64_t layer, const Batch& batch, const at::Tensor& hidden,
                           NonFiniteGuard& guard) const;

  const Decoder* decoder_;
  const datasets::CalibrationSet* tokens_;
  at::ScalarType compute_dtype_;
  LayerLoopOptions options_;
  Batches batches_;
  Batches chunks_;  // of the routed experts
  mutable std::vector<at::Tensor> spare_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_LAYER_LOOP_H_

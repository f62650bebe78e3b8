// Runs all samples through a model one layer at a time, routed experts in groups.
#ifndef VERNIER_CALIB_LAYER_LOOP_H_
#define VERNIER_CALIB_LAYER_LOOP_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>
#include <vector>

#include "calib/families/decoder.h"
#include "calib/input_observer.h"
#include "calib/sample_buffer.h"
#include "datasets/calibration_set.h"

namespace vernier::calib {

struct LayerLoopOptions {
  int64_t batch_size = 1;         // sequences at a time
  int64_t query_chunk = 256;      // queries whose attention scores exist at once
  int64_t experts_per_group = 1;  // routed experts on the device at once
  bool all_experts = false;       // every expert observes every token; outputs do not change
  std::filesystem::path spill_directory = {};  // buffers live in files here; empty: in memory
};

// Told how much of a layer is done: `fraction` in [0, 1], rising.
using LayerProgress = std::function<void(double fraction)>;

// What exists at once: the samples' hidden states at one layer boundary with this layer's FFN
// inputs and sums (SampleBuffers), one layer's dense weights, one group of experts and the next one
// being read, and one batch's temporaries. Sums run over experts in ascending order whatever the
// groups, so results do not depend on the budget. Not thread-safe.
class LayerLoop {
 public:
  // `decoder` and `tokens` must outlive the loop.
  LayerLoop(const Decoder& decoder, const datasets::CalibrationSet& tokens, at::Device device,
            at::ScalarType compute_dtype, LayerLoopOptions options);

  // A buffer for hidden states: in memory, or in `file_name` of the spill directory.
  SampleBuffer MakeHiddenBuffer(std::string_view file_name) const;
  std::vector<int64_t> HiddenSampleShape() const;
  at::ScalarType compute_dtype() const { return compute_dtype_; }

  // hidden := embedding of all samples.
  void Embed(SampleBuffer& hidden) const;

  // out := layer(in); the two may be one buffer when it is in memory. Observes the inputs of linear
  // layers over all real tokens.
  void RunLayer(int64_t layer, const SampleBuffer& in, SampleBuffer& out, InputObserver& observer,
                const LayerProgress& progress) const;

  // Calls `use(first_sample, token ids [B, S] on the host, logits [B, S, V] F32 on the device)`
  // batch by batch for hidden states behind the last layer.
  void ForEachLogits(
      const SampleBuffer& hidden,
      const std::function<void(int64_t, const at::Tensor&, const at::Tensor&)>& use) const;

 private:
  struct ExpertRows;
  struct LayerState;

  int64_t Batches() const;
  int64_t BatchSamples(int64_t batch) const;
  TokenBatch MakeBatch(int64_t batch) const;
  SampleBuffer MakeBuffer(std::string_view file_name, std::vector<int64_t> sample_shape,
                          at::ScalarType dtype) const;
  void RunDensePart(DecoderLayer& dense, const SampleBuffer& in, SampleBuffer& out,
                    LayerState& state, InputObserver& observer,
                    const LayerProgress& progress) const;
  void KeepFfnStage(int64_t batch, const TokenBatch& tokens, const FfnStage& stage,
                    LayerState& state) const;
  void RunExperts(int64_t layer, LayerState& state, InputObserver& observer,
                  const LayerProgress& progress) const;
  void RunExpertGroup(int64_t layer, const std::vector<int64_t>& experts,
                      const std::vector<ExpertWeights>& weights, LayerState& state,
                      InputObserver& observer) const;
  ExpertRows RowsOfExpert(int64_t batch, int64_t expert, const LayerState& state) const;
  std::vector<ExpertWeights> LoadGroup(int64_t layer, const std::vector<int64_t>& experts) const;

  const Decoder* decoder_;
  const datasets::CalibrationSet* tokens_;
  at::Device device_;
  at::ScalarType compute_dtype_;
  LayerLoopOptions options_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_LAYER_LOOP_H_

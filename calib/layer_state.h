// What exists of a layer between two units of its work, and where that is kept.
#ifndef VERNIER_CALIB_LAYER_STATE_H_
#define VERNIER_CALIB_LAYER_STATE_H_

#include <ATen/ATen.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calib/sample_buffer.h"

namespace vernier::calib {

// A layer's work, in this order. Units: a batch, a group of routed experts, a batch.
enum class LayerStage {
  kDense,    // everything up to the routed experts
  kExperts,  // their weighted outputs are added up
  kFinish,   // the sums join the hidden states
};
std::string_view LayerStageName(LayerStage stage);  // "dense", "experts", "finish"
std::optional<LayerStage> LayerStageFromName(std::string_view name);

struct LayerPlace {
  LayerStage stage = LayerStage::kDense;
  int64_t next = 0;  // the first sample that is not done; of kExperts: the first expert
};

// Buffers of a layer, one tensor per sample.
enum class LayerPart {
  kMiddle,          // hidden states between the dense stage and the finish
  kExpertInput,     // [S, D] compute dtype
  kSum,             // [S, D] F32: what the FFN adds so far
  kMix,             // [S, m] F32: what the family needs for the finish
  kRoutingExperts,  // [S, k] I32, -1 for padding
  kRoutingWeights,  // [S, k] F32
  kOut,             // hidden states behind the layer
};
inline constexpr size_t kLayerParts = 7;
std::string_view LayerPartName(LayerPart part);

// The file of the run directory that a part is saved in; `spare`: the second one of kSum. kOut's is
// the unfinished file of the layer's activation checkpoint.
std::string LayerPartFileName(int64_t layer, LayerPart part, bool spare);
// "hidden-0007.bin": the hidden states of all samples behind a layer.
std::string ActivationFileName(int64_t layer);

struct SampleRange {
  int64_t first = 0;
  int64_t count = 0;

  int64_t end() const { return first + count; }
  bool empty() const { return count == 0; }
};

// Sizes of the parts: S positions.
struct LayerShape {
  int64_t samples = 0;
  std::vector<int64_t> hidden;        // of one sample: [S, ...]
  int64_t length = 0;                 // S
  int64_t width = 0;                  // D
  int64_t mix = 0;                    // m
  int64_t experts = 0;                // routed experts; 0 in a dense layer
  int64_t experts_per_token = 0;      // k
  at::ScalarType dtype = at::kFloat;  // of hidden states and expert inputs
};

// One layer on its way. Not thread-safe.
class LayerState {
 public:
  // How a part's buffer is made: in memory, in a new file, or in an existing one.
  // `spare`: the second buffer of the part kSum.
  using MakeBuffer = std::function<SampleBuffer(LayerPart part, bool spare,
                                                std::vector<int64_t> shape, at::ScalarType dtype)>;

  // In memory the layer works in place in `in`; in files (`make` returns such buffers) its hidden
  // states are buffers of their own.
  LayerState(LayerShape shape, std::shared_ptr<SampleBuffer> in, MakeBuffer make);

  const LayerShape& shape() const { return shape_; }
  bool routed() const { return shape_.experts > 0; }
  const SampleBuffer& in() const { return *in_; }

  // Parts that the layer has: a dense one only kOut, and kMix only where the family needs it. They
  // are made when they are first asked for.
  bool Has(LayerPart part) const {
    if (part == LayerPart::kMix && shape_.mix == 0) return false;
    return routed() || part == LayerPart::kOut;
  }
  SampleBuffer& part(LayerPart part);
  // Of one that was made.
  const SampleBuffer& part(LayerPart part) const { return *Pointer(part); }

  // The part kOut of a layer that is done.
  std::shared_ptr<SampleBuffer> out() const { return Pointer(LayerPart::kOut); }

  const LayerPlace& place() const { return place_; }
  // Everything before `place` is done; at the end of a stage, the next one begins.
  void MoveTo(LayerPlace place);
  // In [0, 1]; 1 when nothing is left to do.
  double Fraction() const;

  // The samples of a part that the rest of the layer needs; in place, all others are gone.
  SampleRange Needed(LayerPart part) const;

  // Where the sums with the next group of experts go: kSum itself, unless it is in a file and was
  // protected; then another file.
  SampleBuffer& NextSum();
  // What NextSum returned is complete and becomes kSum.
  void SumDone();
  // kSum was saved: it must not change any more.
  void ProtectSum() { sum_protected_ = true; }
  // How often the sums changed since the dense stage.
  int64_t sum_version() const { return sum_version_; }

 private:
  const std::shared_ptr<SampleBuffer>& Pointer(LayerPart part) const {
    return parts_[static_cast<size_t>(part)];
  }
  std::shared_ptr<SampleBuffer> Make(LayerPart part, bool spare) const;

  LayerShape shape_;
  MakeBuffer make_;
  LayerPlace place_;
  std::shared_ptr<SampleBuffer> in_;
  std::array<std::shared_ptr<SampleBuffer>, kLayerParts> parts_;
  std::shared_ptr<SampleBuffer> spare_sum_;
  bool sum_protected_ = false;
  int64_t sum_version_ = 0;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_LAYER_STATE_H_

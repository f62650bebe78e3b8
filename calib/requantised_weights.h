// FP8 weights as engines use them where the parts of a fused matrix were quantised apart.
#ifndef VERNIER_CALIB_REQUANTISED_WEIGHTS_H_
#define VERNIER_CALIB_REQUANTISED_WEIGHTS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <vector>

#include "calib/tensor_loader.h"
#include "checkpoint/source_model.h"
#include "checkpoint/weight_reader.h"

namespace vernier::calib {

// A fused matrix (q, k and v; gate and up, of experts too) has one weight scale in engines: where
// its FP8 parts have different ones, each is dequantised and rounded again, to the largest scale.
// vLLM 0.32 and 0.33 (w8a8_utils.py and fp8_utils.py, requantize_with_max_scale and
// process_fp8_weight_tensor_strategy_moe), of which SGLang has a copy: E4M3(F16(code * own) *
// (1 / largest)). TensorRT-LLM does so in the model's dtype.
class RequantisedWeights final : public Substitutes {
 public:
  // `model` must outlive it. Reads the scales of its FP8 weights.
  explicit RequantisedWeights(const checkpoint::SourceModel& model);

  // Weights that are rounded again, without MTP.
  int64_t count() const { return static_cast<int64_t>(largest_.size()); }

  bool Has(const checkpoint::LogicalWeight& weight) const override {
    return largest_.contains(&weight);
  }
  void Expect(const std::vector<const checkpoint::LogicalWeight*>& /*weights*/) override {}
  at::Tensor Of(const checkpoint::LogicalWeight& weight, at::Device device) override;

 private:
  const checkpoint::SourceModel& model_;
  checkpoint::WeightReader reader_;
  std::map<const checkpoint::LogicalWeight*, float> largest_;  // scales, by weight
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_REQUANTISED_WEIGHTS_H_

// One decoder layer of DeepSeek-V4: attention and experts, each between mHC streams.
#ifndef VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_LAYER_H_
#define VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_LAYER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>

#include "calib/families/decoder.h"
#include "calib/families/deepseek_v4/attention.h"
#include "calib/families/deepseek_v4/hyper_connection.h"
#include "calib/families/deepseek_v4/router.h"
#include "calib/tensor_loader.h"
#include "checkpoint/families/deepseek_v4_config.h"

namespace vernier::calib::deepseek_v4 {

class Layer final : public DecoderLayer {
 public:
  Layer(const TensorLoader& loader, int64_t layer, const checkpoint::DeepseekV4Config& config,
        int64_t query_chunk);

  at::Tensor Attend(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) override;
  StepwiseAttention AttendStepwise(int64_t positions) override;
  // The stage's mix is the FFN site's StreamMix, packed.
  FfnStage BeginFfn(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) override;
  at::Tensor Finish(const at::Tensor& hidden, const at::Tensor& y, const at::Tensor& mix) override;

 private:
  at::Tensor RunSharedExperts(const at::Tensor& x, const TokenBatch& batch, Tap& tap) const;

  std::string shared_module_;  // "layers.0.ffn.shared_experts"
  std::string router_module_;  // "layers.0.ffn.gate"
  double norm_eps_, swiglu_limit_;
  at::Tensor attn_norm_, ffn_norm_;  // F32
  HyperConnection attn_site_, ffn_site_;
  Attention attention_;
  Router router_;
  ExpertWeights shared_experts_;  // empty when the model has none
};

}  // namespace vernier::calib::deepseek_v4

#endif  // VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_LAYER_H_

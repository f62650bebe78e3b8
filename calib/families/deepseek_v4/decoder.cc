#include "calib/families/decoder.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "calib/families/deepseek_v4/expert.h"
#include "calib/families/deepseek_v4/hyper_connection.h"
#include "calib/families/deepseek_v4/layer.h"
#include "calib/families/linear.h"
#include "calib/families/rms_norm.h"
#include "checkpoint/families/deepseek_v4_config.h"

namespace vernier::calib {
namespace deepseek_v4 {
namespace {

// Rows of the head that are in memory at once.
constexpr int64_t kHeadRows = 8192;

std::string ExpertModule(int64_t layer, int64_t expert) {
  return "layers." + std::to_string(layer) + ".ffn.experts." + std::to_string(expert);
}

void RequireTokenIds(const at::Tensor& ids, int64_t vocab_size) {
  const int64_t lowest = ids.min().item<int64_t>();
  const int64_t highest = ids.max().item<int64_t>();
  if (lowest >= 0 && highest < vocab_size) return;
  throw Error(ErrorCode::kBadTokenIds, "token id " + std::to_string(lowest < 0 ? lowest : highest),
              "lies outside the vocabulary of " + std::to_string(vocab_size) + " tokens",
              "Use ids of the checkpoint's own tokenizer");
}

class DeepseekV4Decoder final : public Decoder {
 public:
  explicit DeepseekV4Decoder(const TensorLoader& loader)
      : loader_(&loader),
        config_(checkpoint::ParseDeepseekV4Config(loader.source().checkpoint.config())) {}

  int64_t Layers() const override { return config_.num_hidden_layers; }
  int64_t VocabSize() const override { return config_.vocab_size; }
  std::vector<int64_t> HiddenShape() const override {
    return {config_.hc_mult, config_.hidden_size};
  }
  int64_t Experts(int64_t) const override { return config_.n_routed_experts; }
  int64_t ExpertsPerToken() const override { return config_.num_experts_per_tok; }
  int64_t MixWidth() const override { return config_.hc_mult * (1 + config_.hc_mult); }

  at::Tensor Embed(const at::Tensor& ids) const override {
    const at::Tensor host_ids = ids.cpu();
    RequireTokenIds(host_ids, config_.vocab_size);
    const at::Tensor rows = loader_->LoadRows("embed.weight", host_ids.reshape({-1}));
    return rows.view({ids.size(0), ids.size(1), 1, -1})
        .expand({-1, -1, config_.hc_mult, -1})
        .contiguous();
  }

  std::unique_ptr<DecoderLayer> LoadLayer(int64_t layer, int64_t query_chunk) const override {
    return std::make_unique<Layer>(*loader_, layer, config_, query_chunk);
  }

  ExpertWeights LoadExpert(int64_t layer, int64_t expert) const override {
    ExpertWeights weights;
    for (const char* part : kExpertParts) {
      weights.push_back(loader_->LoadToHost(ExpertModule(layer, expert) + "." + part + ".weight"));
    }
    return weights;
  }

  at::Tensor RunExpert(int64_t layer, int64_t expert, const ExpertWeights& weights,
                       const at::Tensor& x, InputObserver& observer) const override {
    const TokenBatch no_padding;
    return RunSwiglu(x, weights, config_.swiglu_limit, ExpertModule(layer, expert), no_padding,
                     observer);
  }

  at::Tensor Logits(const at::Tensor& hidden) const override {
    const at::Tensor x = RmsNorm(CollapseForHead(hidden, *loader_, config_),
                                 loader_->LoadExact("norm.weight"), config_.rms_norm_eps);
    at::Tensor logits =
        at::empty({x.size(0), x.size(1), config_.vocab_size}, x.options().dtype(at::kFloat));
    for (int64_t begin = 0; begin < config_.vocab_size; begin += kHeadRows) {
      const int64_t count = std::min(kHeadRows, config_.vocab_size - begin);
      logits.slice(-1, begin, begin + count)
          .copy_(LinearF32(x, loader_->LoadRowRange("head.weight", begin, count)));
    }
    return logits;
  }

 private:
  const TensorLoader* loader_;
  checkpoint::DeepseekV4Config config_;
};

}  // namespace
}  // namespace deepseek_v4

std::unique_ptr<Decoder> MakeDeepseekV4Decoder(const TensorLoader& loader) {
  return std::make_unique<deepseek_v4::DeepseekV4Decoder>(loader);
}

}  // namespace vernier::calib

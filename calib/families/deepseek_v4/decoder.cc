#include "calib/families/decoder.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "calib/families/deepseek_v4/expert.h"
#include "calib/families/deepseek_v4/hyper_connection.h"
#include "calib/families/deepseek_v4/layer.h"
#include "calib/families/rms_norm.h"
#include "calib/families/vocabulary.h"
#include "checkpoint/families/deepseek_v4_config.h"
#include "checkpoint/families/deepseek_v4_names.h"

namespace vernier::calib {
namespace deepseek_v4 {
namespace {

namespace names = checkpoint::deepseek_v4;

std::string WeightOf(std::string_view module) { return std::string(module) + ".weight"; }

class DeepseekV4Head final : public Head {
 public:
  DeepseekV4Head(const TensorLoader& loader, const checkpoint::DeepseekV4Config& config)
      : norm_eps_(config.rms_norm_eps),
        streams_(loader, config),
        norm_(loader.LoadExact(WeightOf(names::kLastNorm))),
        projection_(loader.Load(WeightOf(names::kHead))) {}

  at::Tensor Logits(const at::Tensor& hidden) const override {
    return ProjectToVocabulary(RmsNorm(streams_.Collapse(hidden), norm_, norm_eps_), projection_);
  }

 private:
  double norm_eps_;
  StreamCollapse streams_;
  at::Tensor norm_, projection_;
};

class DeepseekV4Decoder final : public Decoder {
 public:
  explicit DeepseekV4Decoder(const TensorLoader& loader)
      : Decoder({&loader}),
        loader_(&loader),
        config_(checkpoint::ParseDeepseekV4Config(loader.source().checkpoint.config())) {}

  int64_t Layers() const override { return config_.layers(); }
  int64_t VocabSize() const override { return config_.vocab_size; }
  std::vector<int64_t> HiddenShape() const override {
    return {config_.hc_mult, config_.hidden_size};
  }
  int64_t Experts(int64_t) const override { return config_.n_routed_experts; }
  int64_t ExpertsPerToken() const override { return config_.num_experts_per_tok; }
  int64_t MixWidth() const override { return config_.hc_mult * (1 + config_.hc_mult); }

  at::Tensor Embed(const at::Tensor& ids) const override {
    return EmbedTokens(*loader_, WeightOf(names::kEmbedding), config_.vocab_size, ids)
        .unsqueeze(2)
        .expand({-1, -1, config_.hc_mult, -1})
        .contiguous();
  }

  std::unique_ptr<DecoderLayer> LoadLayer(int64_t layer, int64_t query_chunk) const override {
    return std::make_unique<Layer>(*loader_, layer, config_, query_chunk);
  }

  ExpertWeights LoadExpert(int64_t layer, int64_t expert) const override {
    ExpertWeights weights;
    for (const std::string_view part : kExpertParts) {
      const std::string module = names::Below(names::Expert(layer, expert), part);
      weights.push_back(loader_->LoadAhead(WeightOf(module)));
    }
    return weights;
  }

  at::Tensor RunExpert(int64_t layer, int64_t expert, const ExpertWeights& weights,
                       const at::Tensor& x, Tap& tap) const override {
    const TokenBatch no_padding;
    return RunSwiglu(x, weights, config_.swiglu_limit, names::Expert(layer, expert), no_padding,
                     tap);
  }

  std::unique_ptr<Head> LoadHead() const override {
    return std::make_unique<DeepseekV4Head>(*loader_, config_);
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

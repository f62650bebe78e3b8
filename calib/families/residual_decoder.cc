#include "calib/families/residual_decoder.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "calib/device_forward.h"
#include "calib/families/grouped_query_attention.h"
#include "calib/families/latent_attention.h"
#include "calib/families/linear.h"
#include "calib/families/linear_layer.h"
#include "calib/families/rms_norm.h"
#include "calib/families/routers.h"
#include "calib/families/row_tiles.h"
#include "calib/families/swiglu.h"
#include "calib/families/vocabulary.h"

namespace vernier::calib {
namespace {

using checkpoint::DecoderBlock;
using checkpoint::DecoderConfig;
using checkpoint::DecoderNames;

// `query_chunk`: queries of a sequence whose scores may exist at once.
std::unique_ptr<Attention> MakeAttention(const TensorLoader& loader, const DecoderConfig& config,
                                         int64_t layer, int64_t query_chunk) {
  switch (config.block(layer).attention.kind) {
    case checkpoint::AttentionKind::kGroupedQuery:
      return std::make_unique<GroupedQueryAttention>(loader, config, layer, query_chunk);
    case checkpoint::AttentionKind::kLatent:
      return std::make_unique<LatentAttention>(loader, config, layer, query_chunk);
  }
  return nullptr;
}

// Of a layer with routed experts, whose router is `module`.
std::unique_ptr<Router> MakeRouter(const TensorLoader& loader, const DecoderConfig& config,
                                   int64_t layer, const std::string& module) {
  const checkpoint::ExpertsConfig& experts = config.block(layer).ffn.experts;
  switch (experts.router) {
    case checkpoint::RouterKind::kSoftmax:
      return std::make_unique<SoftmaxRouter>(loader, experts, module);
    case checkpoint::RouterKind::kGroupedSigmoid:
      return std::make_unique<GroupLimitedRouter>(
          loader, experts, module, config.names.Ffn(layer) + "." + config.names.correction_bias);
  }
  return nullptr;
}

// x + y in F32, rounded to x's dtype. y has x's elements in any shape.
at::Tensor AddToResidual(const at::Tensor& x, const at::Tensor& y) {
  if (const auto device = DeviceForward::For(x)) return device->Add(x, y);
  return MapRows(x, y, [](const at::Tensor& x_rows, const at::Tensor& y_rows) {
    return x_rows.to(at::kFloat) + y_rows;
  });
}

// A dense MLP, or the shared experts.
class SwigluMlp {
 public:
  SwigluMlp(const TensorLoader& loader, const std::string& module, const DecoderNames& names,
            bool bias)
      : gate_(loader, module + "." + names.gate, bias),
        up_(loader, module + "." + names.up, bias),
        down_(loader, module + "." + names.down, bias) {}

  at::Tensor Run(const at::Tensor& x, const TokenBatch& batch, Tap& tap) const {
    // In a statement of its own, so that gate and up end with it.
    const at::Tensor product = SwigluProduct(gate_.Run(x, batch, tap), up_.Run(x, batch, tap));
    return down_.Run(product, batch, tap);
  }

 private:
  LinearLayer gate_, up_, down_;
};

class ResidualLayer final : public DecoderLayer {
 public:
  ResidualLayer(const TensorLoader& loader, int64_t layer, const DecoderConfig& config,
                int64_t query_chunk)
      : norm_eps_(config.norm_eps) {
    const DecoderNames& names = config.names;
    const DecoderBlock& block = config.block(layer);
    input_norm_ = LoadNorm(loader, config, names.Layer(layer) + names.attention_norm);
    ffn_norm_ = LoadNorm(loader, config, names.Layer(layer) + names.ffn_norm);
    attention_ = MakeAttention(loader, config, layer, query_chunk);
    if (!block.routed()) {
      mlp_.emplace(loader, names.Ffn(layer), names, block.ffn.bias);
      return;
    }
    router_module_ = names.Ffn(layer) + "." + names.router;
    router_ = MakeRouter(loader, config, layer, router_module_);
    if (block.ffn.experts.shared_width > 0) {
      mlp_.emplace(loader, names.SharedExperts(layer), names, /*bias=*/false);
    }
  }

  at::Tensor Attend(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) override {
    return AttendStepwise(hidden.size(1))(hidden, batch, tap);
  }

  StepwiseAttention AttendStepwise(int64_t positions) override {
    return [this, past = KeyValues(positions)](const at::Tensor& hidden, const TokenBatch& batch,
                                               Tap& tap) mutable {
      const at::Tensor x = RmsNorm(hidden, input_norm_, norm_eps_);
      return AddToResidual(hidden, attention_->Forward(x, batch, past, tap));
    };
  }

  FfnStage BeginFfn(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) override {
    FfnStage stage;
    stage.hidden = hidden;
    stage.x = RmsNorm(hidden, ffn_norm_, norm_eps_).flatten(0, 1);
    stage.y = mlp_ ? mlp_->Run(stage.x, batch, tap).to(at::kFloat)
                   : at::zeros(stage.x.sizes(), stage.x.options().dtype(at::kFloat));
    if (!router_) return stage;
    const LinearSite site = {
        .module = router_module_, .weight = router_->weight(), .is_router = true};
    stage.routing = router_->Route(TakeInput(tap, site, batch, stage.x));
    return stage;
  }

  at::Tensor Finish(const at::Tensor& hidden, const at::Tensor& y, const at::Tensor&) override {
    return AddToResidual(hidden, y);
  }

 private:
  double norm_eps_;
  at::Tensor input_norm_, ffn_norm_;  // F32
  std::unique_ptr<Attention> attention_;
  std::optional<SwigluMlp> mlp_;  // dense MLP or shared experts
  std::string router_module_;     // of a layer with routed experts
  std::unique_ptr<Router> router_;
};

class ResidualHead final : public Head {
 public:
  ResidualHead(const TensorLoader& loader, const DecoderConfig& config)
      : norm_eps_(config.norm_eps),
        norm_(LoadNorm(loader, config, config.names.last_norm)),
        projection_(loader.Load(
            (config.tied_embeddings ? config.names.embedding : config.names.head) + ".weight")) {}

  at::Tensor Logits(const at::Tensor& hidden) const override {
    return ProjectToVocabulary(RmsNorm(hidden, norm_, norm_eps_), projection_);
  }

 private:
  double norm_eps_;
  at::Tensor norm_, projection_;
};

class ResidualDecoder final : public Decoder {
 public:
  ResidualDecoder(const TensorLoader& loader, const DecoderConfig& config)
      : Decoder({&loader}), loader_(&loader), config_(config) {}

  int64_t Layers() const override { return config_.layers(); }
  int64_t VocabSize() const override { return config_.vocab_size; }
  std::vector<int64_t> HiddenShape() const override { return {config_.hidden_size}; }
  int64_t Experts(int64_t layer) const override {
    const DecoderBlock& block = config_.block(layer);
    return block.routed() ? block.ffn.experts.count : 0;
  }
  // Of the layer with the most.
  int64_t ExpertsPerToken() const override {
    int64_t most = 0;
    for (const DecoderBlock& block : config_.blocks) {
      if (block.routed()) most = std::max(most, block.ffn.experts.per_token);
    }
    return most;
  }
  int64_t MixWidth() const override { return 0; }

  at::Tensor Embed(const at::Tensor& ids) const override {
    return EmbedTokens(*loader_, config_.names.embedding + ".weight", config_.vocab_size, ids);
  }

  std::unique_ptr<DecoderLayer> LoadLayer(int64_t layer, int64_t query_chunk) const override {
    return std::make_unique<ResidualLayer>(*loader_, layer, config_, query_chunk);
  }

  ExpertWeights LoadExpert(int64_t layer, int64_t expert) const override {
    ExpertWeights weights;
    for (const std::string& module : ExpertModules(layer, expert)) {
      weights.push_back(loader_->LoadAhead(module + ".weight"));
    }
    return weights;
  }

  at::Tensor RunExpert(int64_t layer, int64_t expert, const ExpertWeights& weights,
                       const at::Tensor& x, Tap& tap) const override {
    const std::vector<std::string> modules = ExpertModules(layer, expert);
    const TokenBatch no_padding;
    const auto run = [&](size_t part, const at::Tensor& input) {
      return RunLinear(tap, {.module = modules[part], .weight = weights.at(part)}, no_padding,
                       input);
    };
    const at::Tensor product = SwigluProduct(run(0, x), run(1, x));
    return run(2, product);
  }

  std::unique_ptr<Head> LoadHead() const override {
    return std::make_unique<ResidualHead>(*loader_, config_);
  }

 private:
  // Gate, up and down: the order of an expert's weights.
  std::vector<std::string> ExpertModules(int64_t layer, int64_t expert) const {
    const DecoderNames& names = config_.names;
    const std::string prefix = names.Expert(layer, expert) + ".";
    return {prefix + names.gate, prefix + names.up, prefix + names.down};
  }

  const TensorLoader* loader_;
  const DecoderConfig& config_;
};

}  // namespace

std::unique_ptr<Decoder> MakeResidualDecoder(const TensorLoader& loader,
                                             const DecoderConfig& config) {
  return std::make_unique<ResidualDecoder>(loader, config);
}

}  // namespace vernier::calib

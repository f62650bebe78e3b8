#include "calib/families/residual_decoder.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "calib/device_forward.h"
#include "calib/families/delta_net.h"
#include "calib/families/grouped_query_attention.h"
#include "calib/families/latent_attention.h"
#include "calib/families/linear.h"
#include "calib/families/linear_layer.h"
#include "calib/families/parallel_linear.h"
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
    case checkpoint::AttentionKind::kDeltaNet:
      return std::make_unique<DeltaNet>(loader, config, layer, query_chunk);
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
    case checkpoint::RouterKind::kTopSoftmax:
      return std::make_unique<TopSoftmaxRouter>(loader, experts, module);
    case checkpoint::RouterKind::kGroupedSigmoid:
      return std::make_unique<GroupLimitedRouter>(
          loader, experts, module, config.names.Ffn(layer) + "." + config.names.correction_bias);
  }
  return nullptr;
}

// x + factor * y in F32, rounded to x's dtype. y has x's elements in any shape.
at::Tensor AddToResidual(const at::Tensor& x, const at::Tensor& y, double factor) {
  if (const auto device = DeviceForward::For(x)) {
    return device->Add(x, factor == 1 ? y : y.to(at::kFloat) * factor);
  }
  return MapRows(x, y, [&](const at::Tensor& x_rows, const at::Tensor& y_rows) {
    return factor == 1 ? x_rows.to(at::kFloat) + y_rows
                       : x_rows.to(at::kFloat) + y_rows.to(at::kFloat) * factor;
  });
}

// The norm `name` of a layer; an empty name: it has none.
OptionalNorm LoadLayerNorm(const TensorLoader& loader, const DecoderConfig& config, int64_t layer,
                           const std::string& name) {
  if (name.empty()) return {};
  return {LoadNorm(loader, config, config.names.Layer(layer) + name), config.norm_eps};
}

// What a dense MLP or the shared experts are made of. `fused`: they are stored as one matrix.
ParallelLinear LoadGateUp(const TensorLoader& loader, const std::string& module,
                          const DecoderNames& names, const checkpoint::FfnBlock& block) {
  const std::string prefix = module + ".";
  if (!block.fused) return {loader, {prefix + names.gate, prefix + names.up}, block.bias};
  return {loader, prefix + names.fused_gate_up, {block.width, block.width}, block.bias};
}

// A dense MLP, or the shared experts.
class GatedMlp {
 public:
  GatedMlp(const TensorLoader& loader, const std::string& module, const DecoderConfig& config,
           const checkpoint::FfnBlock& block)
      : gate_(config.gate),
        gate_up_(LoadGateUp(loader, module, config.names, block)),
        down_(loader, module + "." + config.names.down, block.bias) {}

  at::Tensor Run(const at::Tensor& x, const TokenBatch& batch, Tap& tap) const {
    const std::vector<at::Tensor> inputs = gate_up_.TakeInputs(x, batch, tap);
    // In a statement of its own, so that gate and up end with it.
    const at::Tensor product =
        GatedProduct(gate_up_.Apply(0, inputs[0]), gate_up_.Apply(1, inputs[1]), gate_);
    return down_.Run(product, batch, tap);
  }

 private:
  checkpoint::GateConfig gate_;
  ParallelLinear gate_up_;
  LinearLayer down_;
};

class ResidualLayer final : public DecoderLayer {
 public:
  ResidualLayer(const TensorLoader& loader, int64_t layer, const DecoderConfig& config,
                int64_t query_chunk)
      : grows_(config.Rope(layer).type != checkpoint::RopeType::kLong),
        residual_factor_(config.multipliers.residual),
        attention_norm_(LoadLayerNorm(loader, config, layer, config.names.attention_norm)),
        attention_post_norm_(
            LoadLayerNorm(loader, config, layer, config.names.attention_post_norm)),
        ffn_norm_(LoadLayerNorm(loader, config, layer, config.names.ffn_norm)),
        ffn_post_norm_(LoadLayerNorm(loader, config, layer, config.names.ffn_post_norm)),
        attention_(MakeAttention(loader, config, layer, query_chunk)) {
    const DecoderNames& names = config.names;
    const DecoderBlock& block = config.block(layer);
    if (!block.routed()) {
      mlp_.emplace(loader, names.Ffn(layer), config, block.ffn);
      return;
    }
    router_module_ = names.Ffn(layer) + "." + names.router;
    router_ = MakeRouter(loader, config, layer, router_module_);
    if (block.ffn.experts.shared_width > 0) {
      mlp_.emplace(loader, names.SharedExperts(layer), config, block.ffn);
      if (block.ffn.experts.shared_gate) {
        shared_gate_.emplace(loader, names.Ffn(layer) + "." + names.shared_gate);
      }
    }
  }

  at::Tensor Attend(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) override {
    KeyValues past(hidden.size(1));
    return Attend(hidden, batch, past, tap);
  }

  StepwiseAttention AttendStepwise(int64_t positions) override {
    if (!grows_) return {};
    return [this, past = KeyValues(positions)](const at::Tensor& hidden, const TokenBatch& batch,
                                               Tap& tap) mutable {
      return Attend(hidden, batch, past, tap);
    };
  }

  FfnStage BeginFfn(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) override {
    FfnStage stage;
    stage.hidden = hidden;
    stage.x = ffn_norm_.Of(hidden).flatten(0, 1);
    stage.y = mlp_ ? mlp_->Run(stage.x, batch, tap).to(at::kFloat)
                   : at::zeros(stage.x.sizes(), stage.x.options().dtype(at::kFloat));
    if (shared_gate_) stage.y.mul_(SigmoidF32(shared_gate_->Run(stage.x, batch, tap)));
    if (!router_) return stage;
    const LinearSite site = {
        .module = router_module_, .weight = router_->weight(), .is_router = true};
    stage.routing = router_->Route(TakeInput(tap, site, batch, stage.x));
    return stage;
  }

  at::Tensor Finish(const at::Tensor& hidden, const at::Tensor& y, const at::Tensor&) override {
    return AddToResidual(hidden, ffn_post_norm_.Of(y), residual_factor_);
  }

 private:
  at::Tensor Attend(const at::Tensor& hidden, const TokenBatch& batch, KeyValues& past,
                    Tap& tap) const {
    const at::Tensor x = attention_norm_.Of(hidden);
    const at::Tensor y = attention_post_norm_.Of(attention_->Forward(x, batch, past, tap));
    return AddToResidual(hidden, y, residual_factor_);
  }

  bool grows_;  // else keys that were rotated for a short sequence are wrong in a long one
  double residual_factor_;
  OptionalNorm attention_norm_, attention_post_norm_, ffn_norm_, ffn_post_norm_;
  std::unique_ptr<Attention> attention_;
  std::optional<GatedMlp> mlp_;             // dense MLP or shared experts
  std::optional<LinearLayer> shared_gate_;  // of the latter
  std::string router_module_;               // of a layer with routed experts
  std::unique_ptr<Router> router_;
};

class ResidualHead final : public Head {
 public:
  ResidualHead(const TensorLoader& loader, const DecoderConfig& config)
      : norm_eps_(config.norm_eps),
        multipliers_(config.multipliers),
        norm_(LoadNorm(loader, config, config.names.last_norm)),
        projection_(loader.Load(
            (config.tied_embeddings ? config.names.embedding : config.names.head) + ".weight")) {}

  at::Tensor Logits(const at::Tensor& hidden) const override {
    at::Tensor logits = ProjectToVocabulary(RmsNorm(hidden, norm_, norm_eps_), projection_);
    if (multipliers_.logits != 1) logits.mul_(multipliers_.logits);
    const double cap = multipliers_.logits_softcap;
    if (cap == 0) return logits;
    const at::Tensor rows = logits.view({-1, logits.size(-1)});
    ForRowTiles(
        rows.device(), rows.size(0), RowsOfTile(rows.device(), rows.size(1)),
        [&](int64_t begin, int64_t end) { rows.slice(0, begin, end).div_(cap).tanh_().mul_(cap); });
    return logits;
  }

 private:
  double norm_eps_;
  checkpoint::Multipliers multipliers_;
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
    const at::Tensor rows =
        EmbedTokens(*loader_, config_.names.embedding + ".weight", config_.vocab_size, ids);
    const checkpoint::Multipliers& multipliers = config_.multipliers;
    if (multipliers.embedding == 1) return rows;
    if (!multipliers.rounds_embedding) return rows * multipliers.embedding;
    return rows * at::scalar_tensor(multipliers.embedding, rows.options());
  }

  std::unique_ptr<DecoderLayer> LoadLayer(int64_t layer, int64_t query_chunk) const override {
    return std::make_unique<ResidualLayer>(*loader_, layer, config_, query_chunk);
  }

  ExpertWeights LoadExpert(int64_t layer, int64_t expert) const override {
    ExpertWeights weights;
    const std::vector<std::string> modules = ExpertModules(layer, expert);
    for (const std::string& module : modules) {
      weights.push_back(loader_->LoadAhead(module + ".weight"));
    }
    if (!config_.block(layer).ffn.experts.bias) return weights;
    for (const std::string& module : modules) {
      weights.push_back(loader_->LoadAhead(module + ".bias"));
    }
    return weights;
  }

  at::Tensor RunExpert(int64_t layer, int64_t expert, const ExpertWeights& weights,
                       const at::Tensor& x, Tap& tap) const override {
    const std::vector<std::string> modules = ExpertModules(layer, expert);
    const TokenBatch no_padding;
    const auto run = [&](size_t part, const at::Tensor& input) {
      const at::Tensor& weight = weights.at(part);
      const at::Tensor taken =
          TakeInput(tap, {.module = modules[part], .weight = weight}, no_padding, input);
      const size_t bias = modules.size() + part;
      return Linear(taken, weight, bias < weights.size() ? weights[bias] : at::Tensor());
    };
    const at::Tensor product = GatedProduct(run(0, x), run(1, x), config_.gate);
    return run(2, product);
  }

  std::unique_ptr<Head> LoadHead() const override {
    return std::make_unique<ResidualHead>(*loader_, config_);
  }

 private:
  // Gate, up and down: the order of an expert's weights, and of their biases behind them.
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

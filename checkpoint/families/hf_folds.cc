#include "checkpoint/families/hf_folds.h"

#include <cmath>
#include <string>
#include <utility>

#include "checkpoint/model_layout.h"

namespace vernier::checkpoint {
namespace {

class HfFolds {
 public:
  HfFolds(const DecoderConfig& config, const ModelLayout& layout)
      : config_(config), names_(config.names), layout_(layout) {}

  std::vector<Fold> Take() && {
    for (int64_t layer = 0; layer < config_.layers(); ++layer) {
      AddAttention(layer, config_.block(layer).attention);
      AddFfn(layer, config_.block(layer).ffn);
    }
    return std::move(folds_);
  }

 private:
  // The norm before attention or FFN; empty: there is none.
  std::string NormOf(int64_t layer, const std::string& name) const {
    return name.empty() ? name : names_.Layer(layer) + name;
  }

  void AddNorm(const std::string& norm, int64_t channels,
               const std::vector<std::string>& consumers) {
    if (norm.empty()) return;
    AddFold(layout_,
            {.kind = FoldKind::kNorm,
             .channels = channels,
             .added = config_.unit_offset_norms ? 1.0F : 0.0F},
            norm, consumers, folds_);
  }

  void AddUp(const std::string& mlp, int64_t width) {
    // A product with a limit or an offset is not linear in up.
    if (std::isfinite(config_.gate.limit) || config_.gate.up_offset != 0) return;
    AddFold(layout_, {.kind = FoldKind::kUp, .channels = width}, mlp + "." + names_.up,
            {mlp + "." + names_.down}, folds_);
  }

  void AddAttention(int64_t layer, const AttentionBlock& block) {
    const std::string norm = NormOf(layer, names_.attention_norm);
    const std::string attention = names_.Attention(layer) + ".";
    if (block.kind == AttentionKind::kDeltaNet) return AddDeltaNet(norm, layer, block.delta_net);
    if (block.kind == AttentionKind::kLatent) return AddLatent(norm, attention, block.latent);
    const GroupedQueryConfig& heads = block.grouped_query;
    if (heads.fused) return AddNorm(norm, config_.hidden_size, {attention + names_.fused_qkv});
    AddNorm(norm, config_.hidden_size,
            {attention + names_.q, attention + names_.k, attention + names_.v});
    AddFold(layout_,
            {.kind = FoldKind::kValue,
             .channels = heads.key_value_heads * heads.head_dim,
             .head_dim = heads.head_dim,
             .repeats = block.heads / heads.key_value_heads},
            attention + names_.v, {attention + names_.o}, folds_);
  }

  void AddDeltaNet(const std::string& norm, int64_t layer, const DeltaNetConfig& net) {
    std::vector<std::string> consumers = {names_.in_qkv, names_.in_z, names_.in_b, names_.in_a};
    if (net.by_key_head) consumers = {names_.in_qkvz, names_.in_ba};
    for (std::string& name : consumers) name = names_.DeltaNet(layer) + "." + name;
    AddNorm(norm, config_.hidden_size, consumers);
  }

  // Not from kv_b_proj into o_proj: engines absorb it into what stands before and behind.
  void AddLatent(const std::string& norm, const std::string& attention,
                 const LatentAttentionConfig& latent) {
    const bool low_rank = latent.q_lora_rank > 0;
    std::vector<std::string> of_input = {attention + (low_rank ? names_.q_a : names_.q),
                                         attention + names_.kv_a};
    std::vector<std::string> of_low_rank = {attention + names_.q_b};
    if (latent.indexer.heads > 0 && !latent.indexer.shared) {
      const std::string indexer = attention + names_.indexer + ".";
      of_input.insert(of_input.end(), {indexer + names_.index_k, indexer + names_.index_weights});
      of_low_rank.push_back(indexer + names_.index_q);
    }
    AddNorm(norm, config_.hidden_size, of_input);
    if (!low_rank) return;
    AddNorm(attention + names_.q_a_norm, latent.q_lora_rank, of_low_rank);
  }

  void AddFfn(int64_t layer, const FfnBlock& block) {
    const std::string norm = NormOf(layer, names_.ffn_norm);
    const std::string ffn = names_.Ffn(layer);
    if (block.kind == FfnKind::kRouted) return AddExperts(norm, layer, block.experts);
    if (block.fused) {
      return AddNorm(norm, config_.hidden_size, {ffn + "." + names_.fused_gate_up});
    }
    AddNorm(norm, config_.hidden_size, {ffn + "." + names_.gate, ffn + "." + names_.up});
    AddUp(ffn, block.width);
  }

  void AddExperts(const std::string& norm, int64_t layer, const ExpertsConfig& experts) {
    std::vector<std::string> consumers = {names_.Ffn(layer) + "." + names_.router};
    if (experts.shared_gate) consumers.push_back(names_.Ffn(layer) + "." + names_.shared_gate);
    const auto add = [&](const std::string& mlp, int64_t width) {
      consumers.push_back(mlp + "." + names_.gate);
      consumers.push_back(mlp + "." + names_.up);
      AddUp(mlp, width);
    };
    if (experts.shared_width > 0) add(names_.SharedExperts(layer), experts.shared_width);
    for (int64_t expert = 0; expert < experts.count; ++expert) {
      add(names_.Expert(layer, expert), experts.width);
    }
    AddNorm(norm, config_.hidden_size, consumers);
  }

  const DecoderConfig& config_;
  const DecoderNames& names_;
  const ModelLayout& layout_;
  std::vector<Fold> folds_;
};

}  // namespace

std::vector<Fold> DecoderFolds(const DecoderConfig& config, const ModelLayout& layout) {
  return HfFolds(config, layout).Take();
}

}  // namespace vernier::checkpoint

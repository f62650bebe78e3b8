#include "checkpoint/families/hf_family.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/families/generic_names.h"
#include "checkpoint/families/hf_folds.h"
#include "checkpoint/families/hf_gguf.h"
#include "checkpoint/families/hf_tensors.h"
#include "checkpoint/families/kv_cache.h"
#include "checkpoint/families/tensor_table.h"

namespace vernier::checkpoint {
namespace {

void SetAttentionDims(const AttentionBlock& block, ModelDims* dims) {
  if (block.kind != AttentionKind::kDeltaNet) dims->attention_heads = block.heads;
  dims->max_keys = block.window;
  switch (block.kind) {
    case AttentionKind::kGroupedQuery:
      dims->key_value_heads = block.grouped_query.key_value_heads;
      dims->head_dim = block.grouped_query.head_dim;
      return;
    case AttentionKind::kLatent:
      dims->key_value_heads = block.heads;
      dims->head_dim = std::max(block.latent.qk_head_dim(), block.latent.v_head_dim);
      return;
    case AttentionKind::kDeltaNet:
      dims->delta_width = block.delta_net.convolved_width() + block.delta_net.value_width();
      dims->delta_state = block.delta_net.key_head_dim * block.delta_net.value_width();
  }
}

void SetFfnDims(const FfnBlock& block, ModelDims* dims) {
  switch (block.kind) {
    case FfnKind::kDense:
      dims->mlp_width = block.width;
      return;
    case FfnKind::kRouted:
      dims->experts = block.experts.count;
      dims->experts_per_token = block.experts.per_token;
      dims->expert_width = block.experts.width;
      dims->mlp_width = block.experts.shared_width;
  }
}

// Of a model of one layer.
ModelDims DimsOf(const DecoderConfig& config, const DecoderBlock& block) {
  ModelDims dims;
  dims.hidden_size = config.hidden_size;
  dims.layers = 1;
  dims.vocab_size = config.vocab_size;
  SetAttentionDims(block.attention, &dims);
  SetFfnDims(block.ffn, &dims);
  return dims;
}

// Experts as transformers 5 holds them in memory, and some releases on disk.
std::array<StackRow, 2> StacksOf(const DecoderConfig& config) {
  const StackRow gate_up = {.name = config.names.stacked_gate_up,
                            .leaves = {config.names.gate, config.names.up},
                            .interleaved = config.interleaved_stacks,
                            .transposed = config.transposed_stacks};
  return {gate_up,
          {.name = config.names.stacked_down,
           .leaves = {config.names.down},
           .transposed = config.transposed_stacks}};
}

class HfFamily final : public Family {
 public:
  HfFamily(std::string_view model_type, DecoderConfig config)
      : model_type_(model_type),
        config_(std::move(config)),
        table_(DecoderRows(config_)),
        stacks_(StacksOf(config_)) {}

  std::string_view model_type() const override { return model_type_; }
  std::span<const StackRow> Stacks() const override { return stacks_; }
  FamilyFacts Facts() const override {
    return {.unannounced_mtp_layers = config_.unannounced_mtp_layers};
  }
  const DecoderConfig* Decoder() const override { return &config_; }

  TensorMeaning Classify(std::string_view name) const override {
    if (const TensorRow* row = table_.Find(name)) return row->meaning;
    TensorMeaning guess = GuessMeaning(name, config_.layers());
    const bool beside = guess.role == Role::kMtp || guess.role == Role::kTower;
    if (beside || IsKvCacheScale(name)) return guess;
    if (IsStack(name, guess.layer)) {
      guess.role = Role::kRoutedExpert;
      return guess;
    }
    TensorMeaning unknown;
    unknown.linear = guess.linear;
    unknown.keeps_precision = guess.keeps_precision;
    unknown.projection = std::move(guess.projection);
    return unknown;
  }

  ModelDims Dims() const override {
    ModelDims dims = DimsOf(config_, config_.blocks.front());
    for (size_t i = 1; i < config_.blocks.size(); ++i) {
      dims = Join(dims, DimsOf(config_, config_.blocks[i]));
    }
    return dims;
  }
  std::vector<KvCacheEntry> KvCache(const ModelLayout& layout) const override {
    return HfKvCache(layout, config_.names);
  }
  std::vector<Fold> Folds(const ModelLayout& layout) const override {
    return DecoderFolds(config_, layout);
  }
  std::optional<GgufModel> Gguf(const Json& config) const override {
    return GgufOf(config_, config);
  }
  GgufTensor GgufTensorOf(std::string_view name) const override {
    const TensorRow* row = table_.Find(name);
    return row == nullptr ? GgufTensor() : row->gguf;
  }
  std::vector<ConfigPatch> PatchConfig(Json& /*config*/) const override { return {}; }
  std::vector<std::string> RequiredTensors() const override { return table_.Required(); }
  void CheckShapes(const ModelLayout& layout) const override { table_.CheckShapes(layout); }

 private:
  // Whether it holds all experts of the layer, or stands beside such a tensor.
  bool IsStack(std::string_view name, int layer) const {
    if (layer < 0 || layer >= config_.layers() || !config_.block(layer).routed()) return false;
    const std::string container = config_.names.Experts(layer) + ".";
    if (!name.starts_with(container)) return false;
    const std::string_view leaf = name.substr(container.size());
    return std::ranges::any_of(stacks_, [&](const StackRow& row) {
      return leaf.starts_with(row.name) && PartSuffix(leaf.substr(row.name.size()));
    });
  }

  std::string model_type_;
  DecoderConfig config_;
  TensorTable table_;
  std::array<StackRow, 2> stacks_;  // names are config_'s
};

}  // namespace

std::unique_ptr<Family> MakeHfFamily(std::string_view model_type, DecoderConfig config) {
  return std::make_unique<HfFamily>(model_type, std::move(config));
}

}  // namespace vernier::checkpoint

#include "checkpoint/families/hf_tensors.h"

#include <string>
#include <string_view>
#include <utility>

namespace vernier::checkpoint {
namespace {

class HfRows {
 public:
  explicit HfRows(const DecoderConfig& config) : config_(config), names_(config.names) {}

  std::vector<TensorRow> Take() && {
    Keep(rows_.Add(names_.embedding + ".weight", {config_.vocab_size, config_.hidden_size},
                   Role::kEmbedding));
    for (int64_t layer = 0; layer < config_.layers(); ++layer) AddLayer(layer);
    rows_.Enter({});
    AddNorm(names_.last_norm, config_.hidden_size);
    if (!config_.tied_embeddings) {
      rows_.AddLinear("", names_.head, config_.vocab_size, config_.hidden_size, Role::kLmHead);
    }
    return std::move(rows_).Take();
  }

 private:
  static void Keep(TensorRow& row) { row.meaning.keeps_precision = true; }

  void AddNorm(const std::string& module, int64_t size) {
    Keep(rows_.Add(module + ".weight", {size}, Role::kNorm));
  }

  void AddLayer(int64_t layer) {
    const DecoderBlock& block = config_.block(layer);
    const std::string prefix = names_.Layer(layer);
    rows_.Enter({.layer = static_cast<int>(layer)});
    AddNorm(prefix + names_.attention_norm, config_.hidden_size);
    AddAttention(names_.Attention(layer), block.attention);
    AddNorm(prefix + names_.ffn_norm, config_.hidden_size);
    if (block.routed()) {
      AddExperts(layer, block.ffn.experts);
    } else {
      AddMlp(names_.Ffn(layer), block.ffn.width, Role::kDenseMlp, block.ffn.bias);
    }
  }

  void AddAttention(const std::string& module, const AttentionBlock& block) {
    switch (block.kind) {
      case AttentionKind::kGroupedQuery:
        return AddGroupedQuery(module, block.heads, block.grouped_query);
      case AttentionKind::kLatent:
        return AddLatent(module, block.heads, block.latent);
    }
  }

  void AddProjection(const std::string& module, const std::string& name, int64_t rows,
                     int64_t columns, std::string_view group, bool bias) {
    rows_.AddLinear(module, name, rows, columns, Role::kAttention, group);
    if (bias) Keep(rows_.Add(module + "." + name + ".bias", {rows}, Role::kAttentionAux));
  }

  void AddGroupedQuery(const std::string& module, int64_t heads, const GroupedQueryConfig& c) {
    const int64_t hidden = config_.hidden_size;
    const int64_t queries = heads * c.head_dim, keys = c.key_value_heads * c.head_dim;
    AddProjection(module, names_.q, queries, hidden, names_.qkv, c.qkv_bias);
    AddProjection(module, names_.k, keys, hidden, names_.qkv, c.qkv_bias);
    AddProjection(module, names_.v, keys, hidden, names_.qkv, c.qkv_bias);
    AddProjection(module, names_.o, hidden, queries, "", c.output_bias);
    if (!c.qk_norm) return;
    AddNorm(module + "." + names_.q_norm, c.head_dim);
    AddNorm(module + "." + names_.k_norm, c.head_dim);
  }

  void AddLatent(const std::string& module, int64_t heads, const LatentAttentionConfig& c) {
    const int64_t hidden = config_.hidden_size, queries = heads * c.qk_head_dim();
    if (c.q_lora_rank == 0) {
      AddProjection(module, names_.q, queries, hidden, names_.qkv, false);
    } else {
      AddProjection(module, names_.q_a, c.q_lora_rank, hidden, names_.q_a_kv_a, c.bias);
      AddNorm(module + "." + names_.q_a_norm, c.q_lora_rank);
      AddProjection(module, names_.q_b, queries, c.q_lora_rank, "", false);
    }
    AddProjection(module, names_.kv_a, c.kv_lora_rank + c.qk_rope_head_dim, hidden, names_.q_a_kv_a,
                  c.bias);
    AddNorm(module + "." + names_.kv_a_norm, c.kv_lora_rank);
    AddProjection(module, names_.kv_b, heads * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank,
                  "", false);
    AddProjection(module, names_.o, hidden, heads * c.v_head_dim, "", c.bias);
  }

  void AddMlp(const std::string& module, int64_t width, Role role, bool bias) {
    const auto add = [&](const std::string& name, int64_t rows, int64_t columns,
                         std::string_view group) {
      rows_.AddLinear(module, name, rows, columns, role, group);
      if (bias) rows_.Add(module + "." + name + ".bias", {rows}, role);
    };
    add(names_.gate, width, config_.hidden_size, names_.gate_up);
    add(names_.up, width, config_.hidden_size, names_.gate_up);
    add(names_.down, config_.hidden_size, width, "");
  }

  void AddExperts(int64_t layer, const ExpertsConfig& experts) {
    const std::string ffn = names_.Ffn(layer), router = ffn + "." + names_.router;
    Keep(rows_.AddLinear(ffn, names_.router, experts.count, config_.hidden_size, Role::kRouter));
    if (experts.router == RouterKind::kGroupedSigmoid) {
      Keep(rows_.Add(router + "." + names_.correction_bias, {experts.count}, Role::kRouter));
    }
    for (int64_t expert = 0; expert < experts.count; ++expert) {
      const size_t first = rows_.rows().size();
      AddMlp(names_.Expert(layer, expert), experts.width, Role::kRoutedExpert, false);
      SetExpert(first, expert, names_.Experts(layer));
    }
    if (experts.shared_width == 0) return;
    AddMlp(names_.SharedExperts(layer), experts.shared_width, Role::kSharedExpert, false);
  }

  // The rows from `first` on are one expert's.
  void SetExpert(size_t first, int64_t expert, const std::string& experts) {
    for (size_t i = first; i < rows_.rows().size(); ++i) {
      rows_.rows()[i].meaning.expert = static_cast<int>(expert);
      rows_.rows()[i].meaning.experts_module = experts;
    }
  }

  const DecoderConfig& config_;
  const DecoderNames& names_;
  TensorRows rows_;
};

}  // namespace

std::vector<TensorRow> DecoderRows(const DecoderConfig& config) { return HfRows(config).Take(); }

}  // namespace vernier::checkpoint

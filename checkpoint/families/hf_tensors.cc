#include "checkpoint/families/hf_tensors.h"

#include <string>
#include <string_view>
#include <utility>

namespace vernier::checkpoint {
namespace {

struct GgufPair {
  std::string_view weight, bias = {};
};
struct GgufMlp {
  GgufPair gate, up, down;
};
constexpr GgufMlp kGgufMlp = {.gate = {"ffn_gate.weight", "ffn_gate.bias"},
                              .up = {"ffn_up.weight", "ffn_up.bias"},
                              .down = {"ffn_down.weight", "ffn_down.bias"}};
constexpr GgufMlp kGgufExperts = {.gate = {"ffn_gate_exps.weight", "ffn_gate_exps.bias"},
                                  .up = {"ffn_up_exps.weight", "ffn_up_exps.bias"},
                                  .down = {"ffn_down_exps.weight", "ffn_down_exps.bias"}};
constexpr GgufMlp kGgufShared = {.gate = {"ffn_gate_shexp.weight"},
                                 .up = {"ffn_up_shexp.weight"},
                                 .down = {"ffn_down_shexp.weight"}};

class HfRows {
 public:
  explicit HfRows(const DecoderConfig& config) : config_(config), names_(config.names) {}

  std::vector<TensorRow> Take() && {
    TensorRow& embedding = rows_.Add(names_.embedding + ".weight",
                                     {config_.vocab_size, config_.hidden_size}, Role::kEmbedding);
    Keep(embedding);
    embedding.gguf.name = "token_embd.weight";
    for (int64_t layer = 0; layer < config_.layers(); ++layer) AddLayer(layer);
    rows_.Enter({});
    AddNorm(names_.last_norm, config_.hidden_size, "output_norm.weight");
    if (!config_.tied_embeddings) AddHead();
    return std::move(rows_).Take();
  }

 private:
  void AddHead() {
    const size_t dot = names_.head.rfind('.');  // of a model within another one
    const bool within = dot != std::string::npos;
    const std::string module = within ? names_.head.substr(0, dot) : std::string();
    rows_
        .AddLinear(module, names_.head.substr(within ? dot + 1 : 0), config_.vocab_size,
                   config_.hidden_size, Role::kLmHead)
        .gguf = {.name = "output.weight", .nvfp4 = true};
  }

  static void Keep(TensorRow& row) { row.meaning.keeps_precision = true; }

  void AddNorm(const std::string& module, int64_t size, std::string_view gguf) {
    TensorRow& row = rows_.Add(module + ".weight", {size}, Role::kNorm);
    Keep(row);
    row.gguf = {.name = gguf, .f32 = true};
  }

  void AddLayer(int64_t layer) {
    const DecoderBlock& block = config_.block(layer);
    const std::string prefix = names_.Layer(layer);
    rows_.Enter({.layer = static_cast<int>(layer)});
    const auto add_norm = [&](const std::string& name, std::string_view gguf) {
      if (!name.empty()) AddNorm(prefix + name, config_.hidden_size, gguf);
    };
    add_norm(names_.attention_norm, "attn_norm.weight");
    AddAttention(layer, block.attention);
    add_norm(names_.attention_post_norm, "post_attention_norm.weight");
    add_norm(names_.ffn_norm, "ffn_norm.weight");
    if (block.routed()) {
      AddExperts(layer, block.ffn.experts);
    } else {
      AddMlp(names_.Ffn(layer), block.ffn.width, Role::kDenseMlp, kGgufMlp, block.ffn.bias,
             block.ffn.fused);
    }
    add_norm(names_.ffn_post_norm, "post_ffw_norm.weight");
  }

  void AddAttention(int64_t layer, const AttentionBlock& block) {
    switch (block.kind) {
      case AttentionKind::kGroupedQuery:
        return AddGroupedQuery(names_.Attention(layer), block.heads, block.grouped_query);
      case AttentionKind::kLatent:
        return AddLatent(names_.Attention(layer), block.heads, block.latent);
      case AttentionKind::kDeltaNet:
        return AddDeltaNet(names_.DeltaNet(layer), block.delta_net);
    }
  }

  // `gguf`: of the weight and, in its second name, of the bias.
  void AddProjection(const std::string& module, const std::string& name, int64_t rows,
                     int64_t columns, std::string_view group, bool bias, GgufTensor gguf) {
    const std::string_view gguf_bias = std::exchange(gguf.second, {});
    gguf.nvfp4 |= config_.gguf.attention_scales;
    rows_.AddLinear(module, name, rows, columns, Role::kAttention, group).gguf = gguf;
    if (!bias) return;
    TensorRow& row = rows_.Add(module + "." + name + ".bias", {rows}, Role::kAttentionAux);
    Keep(row);
    row.gguf = gguf;
    row.gguf.name = gguf_bias;
    row.gguf.f32 = true;
  }

  // Of queries and keys.
  GgufTensor Rotated(std::string_view name, std::string_view bias, int64_t head_dim) const {
    if (!config_.gguf.rotary_pairs) return {.name = name, .second = bias};
    return {.name = name, .rows = GgufTensor::Rows::kPairs, .head_rows = head_dim, .second = bias};
  }

  void AddGroupedQuery(const std::string& module, int64_t heads, const GroupedQueryConfig& c) {
    const int64_t hidden = config_.hidden_size;
    const int64_t queries = heads * c.head_dim, keys = c.key_value_heads * c.head_dim;
    if (c.fused) {
      AddProjection(module, names_.fused_qkv, queries + 2 * keys, hidden, "", c.qkv_bias,
                    {.name = "attn_qkv.weight", .second = "attn_qkv.bias"});
    } else {
      AddProjection(module, names_.q, c.output_gate ? 2 * queries : queries, hidden, names_.qkv,
                    c.qkv_bias, Rotated("attn_q.weight", "attn_q.bias", c.head_dim));
      AddProjection(module, names_.k, keys, hidden, names_.qkv, c.qkv_bias,
                    Rotated("attn_k.weight", "attn_k.bias", c.head_dim));
      AddProjection(module, names_.v, keys, hidden, names_.qkv, c.qkv_bias,
                    {.name = "attn_v.weight", .second = "attn_v.bias"});
    }
    AddProjection(module, names_.o, hidden, queries, "", c.output_bias,
                  {.name = "attn_output.weight", .second = "attn_output.bias"});
    if (c.sinks) {
      TensorRow& sinks = rows_.Add(module + "." + names_.sinks, {heads}, Role::kAttentionAux);
      Keep(sinks);
      sinks.gguf = {.name = "attn_sinks.weight", .f32 = true};
    }
    if (!c.qk_norm) return;
    AddNorm(module + "." + names_.q_norm, c.qk_norm_of_all ? queries : c.head_dim,
            "attn_q_norm.weight");
    AddNorm(module + "." + names_.k_norm, c.qk_norm_of_all ? keys : c.head_dim,
            "attn_k_norm.weight");
  }

  void AddLatent(const std::string& module, int64_t heads, const LatentAttentionConfig& c) {
    const int64_t hidden = config_.hidden_size, queries = heads * c.qk_head_dim();
    if (c.q_lora_rank == 0) {
      AddProjection(module, names_.q, queries, hidden, names_.qkv, false,
                    {.name = "attn_q.weight"});
    } else {
      AddProjection(module, names_.q_a, c.q_lora_rank, hidden, names_.q_a_kv_a, c.bias,
                    {.name = "attn_q_a.weight"});
      AddNorm(module + "." + names_.q_a_norm, c.q_lora_rank, "attn_q_a_norm.weight");
      AddProjection(module, names_.q_b, queries, c.q_lora_rank, "", false,
                    {.name = "attn_q_b.weight"});
    }
    AddProjection(module, names_.kv_a, c.kv_lora_rank + c.qk_rope_head_dim, hidden, names_.q_a_kv_a,
                  c.bias, {.name = "attn_kv_a_mqa.weight"});
    AddNorm(module + "." + names_.kv_a_norm, c.kv_lora_rank, "attn_kv_a_norm.weight");
    const int64_t head_rows = c.qk_nope_head_dim + c.v_head_dim;
    AddProjection(module, names_.kv_b, heads * head_rows, c.kv_lora_rank, "", false, {});
    rows_.rows().back().gguf = {.name = "attn_k_b.weight",
                                .rows = GgufTensor::Rows::kSplit,
                                .head_rows = head_rows,
                                .first_rows = c.qk_nope_head_dim,
                                .second = "attn_v_b.weight"};
    AddProjection(module, names_.o, hidden, heads * c.v_head_dim, "", c.bias,
                  {.name = "attn_output.weight", .nvfp4 = true});
    if (c.indexer.heads > 0 && !c.indexer.shared) {
      AddIndexer(module + "." + names_.indexer, c.q_lora_rank, c.indexer);
    }
  }

  // Engines build wk and weights_proj as one matrix that is not quantised.
  void AddIndexer(const std::string& module, int64_t q_lora_rank, const IndexerConfig& c) {
    rows_.AddLinear(module, names_.index_q, c.heads * c.head_dim, q_lora_rank, Role::kIndexer);
    Keep(rows_.AddLinear(module, names_.index_k, c.head_dim, config_.hidden_size, Role::kIndexer));
    AddNorm(module + "." + names_.index_k_norm, c.head_dim, {});
    Keep(rows_.Add(module + "." + names_.index_k_norm + ".bias", {c.head_dim}, Role::kNorm));
    Keep(rows_.AddLinear(module, names_.index_weights, c.heads, config_.hidden_size,
                         Role::kIndexer));
  }

  void AddDeltaNet(const std::string& module, const DeltaNetConfig& c) {
    const auto project = [&](const std::string& name, int64_t rows, const std::string& group) {
      return &rows_.AddLinear(module, name, rows, config_.hidden_size, Role::kLinearAttention,
                              group);
    };
    const auto keep = [&](const std::string& name, std::vector<int64_t> shape) {
      Keep(rows_.Add(module + "." + name, std::move(shape), Role::kAttentionAux));
    };
    if (c.by_key_head) {
      project(names_.in_qkvz, c.convolved_width() + c.value_width(), "");
      Keep(*project(names_.in_ba, 2 * c.value_heads, ""));
    } else {
      project(names_.in_qkv, c.convolved_width(), names_.in_qkvz);
      project(names_.in_z, c.value_width(), names_.in_qkvz);
      Keep(*project(names_.in_b, c.value_heads, names_.in_ba));
      Keep(*project(names_.in_a, c.value_heads, names_.in_ba));
    }
    keep(names_.convolution + ".weight", {c.convolved_width(), 1, c.kernel});
    keep(names_.decay, {c.value_heads});
    keep(names_.step_bias, {c.value_heads});
    AddNorm(module + "." + names_.gated_norm, c.value_head_dim, {});
    rows_.AddLinear(module, names_.out, config_.hidden_size, c.value_width(),
                    Role::kLinearAttention);
  }

  void AddMlp(const std::string& module, int64_t width, Role role, const GgufMlp& gguf,
              bool bias = false, bool fused = false) {
    const auto add = [&](const std::string& name, int64_t rows, int64_t columns,
                         std::string_view group, const GgufPair& of) {
      rows_.AddLinear(module, name, rows, columns, role, group).gguf = {
          .name = of.weight, .nvfp4 = config_.gguf.ffn_scales};
      if (!bias) return;
      rows_.Add(module + "." + name + ".bias", {rows}, role).gguf = {.name = of.bias, .f32 = true};
    };
    if (fused) {  // llama.cpp splits what ffn_up makes
      add(names_.fused_gate_up, 2 * width, config_.hidden_size, "", gguf.up);
    } else {
      add(names_.gate, width, config_.hidden_size, names_.gate_up, gguf.gate);
      add(names_.up, width, config_.hidden_size, names_.gate_up, gguf.up);
    }
    add(names_.down, config_.hidden_size, width, "", gguf.down);
  }

  void AddExperts(int64_t layer, const ExpertsConfig& experts) {
    const std::string ffn = names_.Ffn(layer);
    TensorRow& gate =
        rows_.AddLinear(ffn, names_.router, experts.count, config_.hidden_size, Role::kRouter);
    Keep(gate);
    gate.gguf = {.name = "ffn_gate_inp.weight", .f32 = true};
    if (experts.router_bias) {
      TensorRow& bias =
          rows_.Add(ffn + "." + names_.router + ".bias", {experts.count}, Role::kRouter);
      Keep(bias);
      bias.gguf = {.name = "ffn_gate_inp.bias", .f32 = true};
    }
    if (experts.router == RouterKind::kGroupedSigmoid) {
      TensorRow& bias =
          rows_.Add(ffn + "." + names_.correction_bias, {experts.count}, Role::kRouter);
      Keep(bias);
      bias.gguf = {.name = "exp_probs_b.bias", .f32 = true};
    }
    for (int64_t expert = 0; expert < experts.count; ++expert) {
      const size_t first = rows_.rows().size();
      AddMlp(names_.Expert(layer, expert), experts.width, Role::kRoutedExpert, kGgufExperts,
             experts.bias);
      SetExpert(first, expert, names_.Experts(layer));
    }
    if (experts.shared_width == 0) return;
    AddMlp(names_.SharedExperts(layer), experts.shared_width, Role::kSharedExpert, kGgufShared);
    if (!experts.shared_gate) return;
    Keep(rows_.AddLinear(ffn, names_.shared_gate, 1, config_.hidden_size, Role::kRouter));
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

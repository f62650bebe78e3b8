// What the modules and tensors of a decoder are called: each name is spelled here, and tensor
// table, folds and forward pass are made of it. The defaults are Llama's and DeepSeek-V3's.
#ifndef VERNIER_CHECKPOINT_FAMILIES_DECODER_NAMES_H_
#define VERNIER_CHECKPOINT_FAMILIES_DECODER_NAMES_H_

#include <cstdint>
#include <string>

namespace vernier::checkpoint {

struct DecoderNames {
  std::string embedding = "model.embed_tokens";
  std::string layers = "model.layers";
  std::string last_norm = "model.norm";
  std::string head = "lm_head";

  // Below a layer. Norms stand before attention and FFN, or behind them and before the residual
  // takes what they put out, or both; empty: none.
  std::string attention_norm = "input_layernorm", attention_post_norm;
  std::string attention = "self_attn";
  std::string delta_net = "linear_attn";  // where that is a layer's attention
  std::string ffn_norm = "post_attention_layernorm", ffn_post_norm;
  std::string ffn = "mlp";

  // Below attention.
  std::string q = "q_proj", k = "k_proj", v = "v_proj", o = "o_proj";
  std::string q_norm = "q_norm", k_norm = "k_norm";
  std::string sinks = "sinks";
  std::string q_a = "q_a_proj", q_a_norm = "q_a_layernorm", q_b = "q_b_proj";
  std::string kv_a = "kv_a_proj_with_mqa", kv_a_norm = "kv_a_layernorm", kv_b = "kv_b_proj";

  // Below a delta net.
  std::string in_qkv = "in_proj_qkv", in_z = "in_proj_z", in_b = "in_proj_b", in_a = "in_proj_a";
  std::string in_qkvz = "in_proj_qkvz", in_ba = "in_proj_ba";
  std::string convolution = "conv1d", decay = "A_log", step_bias = "dt_bias";
  std::string gated_norm = "norm", out = "out_proj";
  // Below attention, and below its indexer.
  std::string indexer = "indexer";
  std::string index_q = "wq_b", index_k = "wk", index_k_norm = "k_norm";
  std::string index_weights = "weights_proj";

  // Below the feed-forward network.
  std::string router = "gate";
  std::string correction_bias = "gate.e_score_correction_bias";
  std::string experts = "experts";
  std::string shared_experts = "shared_experts";
  std::string shared_gate = "shared_expert_gate";

  // Below a dense MLP, an expert and the shared experts.
  std::string gate = "gate_proj", up = "up_proj", down = "down_proj";

  // Below the experts, of all of them.
  std::string stacked_gate_up = "gate_up_proj", stacked_down = "down_proj";

  // In place of q, k, v and of gate and up, where they are stored as one matrix.
  std::string fused_qkv = "qkv_proj", fused_gate_up = "gate_up_proj";

  // Groups that engines fuse, beside their members.
  std::string qkv = "qkv", q_a_kv_a = "q_a_kv_a", gate_up = "gate_up";

  // Those of a language model that is a part of another: `model` stands before its modules, and
  // `projection` is the head.
  void Place(const std::string& model, const std::string& projection) {
    embedding = model + ".embed_tokens";
    layers = model + ".layers";
    last_norm = model + ".norm";
    head = projection;
  }

  // "model.layers.3."
  std::string Layer(int64_t layer) const { return layers + "." + std::to_string(layer) + "."; }
  std::string Attention(int64_t layer) const { return Layer(layer) + attention; }
  std::string DeltaNet(int64_t layer) const { return Layer(layer) + delta_net; }
  std::string Ffn(int64_t layer) const { return Layer(layer) + ffn; }
  std::string Experts(int64_t layer) const { return Ffn(layer) + "." + experts; }
  std::string Expert(int64_t layer, int64_t expert) const {
    return Experts(layer) + "." + std::to_string(expert);
  }
  std::string SharedExperts(int64_t layer) const { return Ffn(layer) + "." + shared_experts; }
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_DECODER_NAMES_H_

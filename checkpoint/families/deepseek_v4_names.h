// What DeepSeek-V4's released tensors are called: each name is spelled here, and tensor table,
// folds and forward pass are made of it.
#ifndef VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_NAMES_H_
#define VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_NAMES_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace vernier::checkpoint::deepseek_v4 {

inline constexpr std::string_view kEmbedding = "embed";
inline constexpr std::string_view kLastNorm = "norm";
inline constexpr std::string_view kHead = "head";
inline constexpr std::string_view kLayers = "layers.";
inline constexpr std::string_view kMtpLayers = "mtp.";

// Of hyper-connections: prefixes of three tensors each, behind the streams and before a module.
inline constexpr std::string_view kStreamHead = "hc_head_";
inline constexpr std::string_view kAttentionStreams = "hc_attn_";  // below a layer
inline constexpr std::string_view kFfnStreams = "hc_ffn_";
inline constexpr std::string_view kStreamFn = "fn", kStreamBase = "base", kStreamScale = "scale";

// Below a layer, and below an MTP layer alone.
inline constexpr std::string_view kAttentionNorm = "attn_norm", kAttention = "attn";
inline constexpr std::string_view kFfnNorm = "ffn_norm", kFfn = "ffn";
inline constexpr std::string_view kEmbeddingNorm = "enorm", kHiddenNorm = "hnorm";
inline constexpr std::string_view kEmbeddingProjection = "e_proj", kHiddenProjection = "h_proj";

// Below attention; the indexer has a compressor and a kWqB too.
inline constexpr std::string_view kWqA = "wq_a", kWqB = "wq_b", kWkv = "wkv", kWoA = "wo_a",
                                  kWoB = "wo_b";
inline constexpr std::string_view kQNorm = "q_norm", kKvNorm = "kv_norm", kSink = "attn_sink";
inline constexpr std::string_view kCompressor = "compressor", kIndexer = "indexer";
inline constexpr std::string_view kWeightsProjection = "weights_proj";  // below the indexer
// Below a compressor, which has a kWkv too.
inline constexpr std::string_view kWgate = "wgate", kPositions = "ape", kNorm = "norm";

// Below the feed-forward network.
inline constexpr std::string_view kRouter = "gate";
inline constexpr std::string_view kTokenExperts = "tid2eid";  // below the router
inline constexpr std::string_view kExperts = "experts", kSharedExperts = "shared_experts";
// Below an expert: gate, down and up.
inline constexpr std::string_view kW1 = "w1", kW2 = "w2", kW3 = "w3";

// Groups that engines fuse, beside their members.
inline constexpr std::string_view kQAKv = "wq_a_wkv", kW1W3 = "w1w3";

// "layers.3."
inline std::string Layer(int64_t layer) {
  return std::string(kLayers) + std::to_string(layer) + ".";
}
// "layers.3.attn" and "layers.3.attn.wq_a"
inline std::string Below(std::string_view module, std::string_view name) {
  return std::string(module).append(".").append(name);
}
inline std::string Attention(int64_t layer) { return Layer(layer).append(kAttention); }
inline std::string Ffn(int64_t layer) { return Layer(layer).append(kFfn); }
inline std::string SharedExperts(int64_t layer) { return Below(Ffn(layer), kSharedExperts); }
inline std::string Expert(int64_t layer, int64_t expert) {
  return Below(Below(Ffn(layer), kExperts), std::to_string(expert));
}

}  // namespace vernier::checkpoint::deepseek_v4

#endif  // VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_NAMES_H_

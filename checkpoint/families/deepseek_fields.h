// Fields that config.json files of DeepSeek's models and of their relatives have in common.
#ifndef VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_FIELDS_H_
#define VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_FIELDS_H_

#include <cstdint>
#include <vector>

#include "checkpoint/families/config_reader.h"
#include "checkpoint/families/decoder_config.h"

namespace vernier::checkpoint {

// Scores of experts, and when which layers have them, as all published models do it: other values
// of scoring_func, topk_method and moe_layer_freq are kBadConfig.
void RequireDeepseekRouting(const ConfigReader& reader);

// Latent attention in all blocks; heads are known.
void ReadLatentAttention(const ConfigReader& reader, DecoderConfig* config);

// Which layers have routed experts: all behind the first_k_dense_replace, by default
// `dense_layers`.
std::vector<bool> ReadLayersBehindDense(const ConfigReader& reader, int64_t dense_layers,
                                        const DecoderConfig& config);

// Experts chosen by sigmoid scores and a correction bias, in groups if there are any, and shared
// ones beside them (fields without a default: models differ), for the layers of which `routed` says
// so.
void ReadGroupedExperts(const ConfigReader& reader, const std::vector<bool>& routed,
                        DecoderConfig* config);

// The same from mlp_layer_types, transformers 5's form, where a file has that.
std::vector<bool> ReadLayersOfMlpTypes(const ConfigReader& reader, int64_t dense_layers,
                                       const DecoderConfig& config);

// The indexer of all layers' latent attention, which is known.
IndexerConfig ReadIndexer(const ConfigReader& reader, const DecoderConfig& config);

// All but the indexers of a config.json of DeepSeek-V3.2's kind.
DecoderConfig ReadSparseDeepseek(const ConfigReader& reader);

// All of a config.json of DeepSeek-V3's kind.
DecoderConfig ReadDeepseekV3(const ConfigReader& reader);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_FIELDS_H_

// Fields that several families' config.json have in common.
#ifndef VERNIER_CHECKPOINT_FAMILIES_DECODER_FIELDS_H_
#define VERNIER_CHECKPOINT_FAMILIES_DECODER_FIELDS_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "checkpoint/families/config_reader.h"
#include "checkpoint/families/decoder_config.h"

namespace vernier::checkpoint {

// Reads what a config says of its language model, be it a part of it (FindTextConfig); messages
// name fields by their path.
ConfigReader TextReader(const Json& json);

// Where the tensors of a language model stand that is a part of another model:
// "model.language_model" and "lm_head", or "language_model.model" and "language_model.lm_head".
struct NestedPlace {
  const char* model;
  const char* head;
};
// Of a config whose language model is a part of it: takes their names from `place`, and from
// whichever part says so whether the head is the embedding. Leaves others as they are.
void ReadNesting(const Json& json, const NestedPlace& place, DecoderConfig* config);

// Sizes, norm, activation (hidden_act), tied embeddings: what every family has. All blocks have a
// dense MLP of the width under `ffn_width` and, as far as heads are not read yet, attention to
// everything.
DecoderConfig ReadDecoderSizes(const ConfigReader& reader,
                               const char* ffn_width = "intermediate_size");

// Heads of keys and values, and the head's size, of all blocks: `default_head_dim`, or hidden_size
// / heads.
void ReadGroupedQueryHeads(const ConfigReader& reader, std::optional<int64_t> default_head_dim,
                           DecoderConfig* config);

// What `key` names: "silu", "gelu" or "gelu_pytorch_tanh"; silu where it is absent.
GateConfig ReadGate(const ConfigReader& reader, std::string_view key);

// Rotary embedding of the first channels of each head: partial_rotary_factor, or rotary_dim of
// them. Heads' sizes are known.
void ReadPartialRope(const ConfigReader& reader, RopeDefaults defaults, DecoderConfig* config);

// The window of transformers' Qwen configurations whose files name none.
inline constexpr int64_t kQwenWindow = 4096;

// sliding_window of all layers; `fallback` where the field is absent, 0 where it is null.
void ReadWindow(const ConfigReader& reader, int64_t fallback, DecoderConfig* config);

// The window stays in layers that layer_types calls sliding_attention, without layer_types in all
// but every `pattern`-th.
void ReadWindowPattern(const ConfigReader& reader, int64_t pattern, DecoderConfig* config);

// Qwen's: sliding_window where use_sliding_window is true and layer_types says sliding_attention,
// or without layer_types from layer max_window_layers on.
void ReadWindowsByLayer(const ConfigReader& reader, DecoderConfig* config);

// Routed experts under the given fields: their count, checked against what can be enumerated, how
// many a token gets, and their width.
struct ExpertFields {
  const char* count;
  const char* per_token;
  const char* width;
};
ExpertsConfig ReadExperts(const ConfigReader& reader, const ExpertFields& fields,
                          const DecoderConfig& config);

// Of a list with a name for each layer, such as layer_types: which of `names` each one's is.
// kBadConfig for another length or another name.
std::vector<size_t> ReadEachLayer(const ConfigReader& reader, const char* field, int64_t layers,
                                  const std::vector<std::string_view>& names);

// Qwen's layers with routed experts: every decoder_sparse_step-th, except those in mlp_only_layers.
std::vector<bool> ReadSparseLayers(const ConfigReader& reader, int64_t layers);

// Gives routed experts to the blocks of which `routed` [layers] says that they have them.
void RouteBlocks(const ExpertsConfig& experts, const std::vector<bool>& routed,
                 DecoderConfig* config);

// llama.cpp's name for Llama and for what is like it.
extern const GgufArchitecture kGgufLlama;

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_DECODER_FIELDS_H_

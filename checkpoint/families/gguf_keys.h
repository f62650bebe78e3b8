// Keys of GGUF metadata that more than one family has (gguf-py's constants.py).
#ifndef VERNIER_CHECKPOINT_FAMILIES_GGUF_KEYS_H_
#define VERNIER_CHECKPOINT_FAMILIES_GGUF_KEYS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "checkpoint/families/config_reader.h"
#include "checkpoint/families/gguf_model.h"

namespace vernier::checkpoint::gguf {

// Of expert_gating_func.
enum class Gating : uint32_t { kSoftmax = 1, kSigmoid = 2, kSqrtSoftplus = 4 };

// kBadConfig for other rotations than 32 and 1: llama.cpp takes these for nearly all models,
// whatever the file says.
struct YarnRotations {
  double beta_fast, beta_slow;
};
inline void CheckYarn(const YarnRotations& yarn, const ConfigReader& reader) {
  if (yarn.beta_fast == 32 && yarn.beta_slow == 1) return;
  reader.Fail("rope_scaling",
              "has other rotations (beta_fast, beta_slow) than 32 and 1, with which llama.cpp "
              "computes");
}

class MetadataBuilder {
 public:
  void Add(std::string_view key, GgufValue value) {
    metadata_.push_back({std::string(key), std::move(value)});
  }
  void AddCount(std::string_view key, int64_t value) { Add(key, static_cast<uint32_t>(value)); }
  void AddNumber(std::string_view key, double value) { Add(key, static_cast<float>(value)); }
  // Of a field that may be absent.
  void AddCountOf(std::string_view key, const ConfigReader& reader, std::string_view field) {
    if (reader.Find(field) != nullptr) AddCount(key, reader.Integer(field, 0));
  }

  // What every decoder has; `ffn` is the width of its dense layers.
  struct Sizes {
    int64_t layers, hidden, ffn, heads, key_value_heads;
    double norm_eps;
  };
  void AddSizes(const Sizes& sizes, const ConfigReader& reader) {
    AddCount("block_count", sizes.layers);
    AddCountOf("context_length", reader, "max_position_embeddings");
    AddCount("embedding_length", sizes.hidden);
    if (sizes.ffn > 0) AddCount("feed_forward_length", sizes.ffn);
    AddCount("attention.head_count", sizes.heads);
    AddCount("attention.head_count_kv", sizes.key_value_heads);
    AddNumber("attention.layer_norm_rms_epsilon", sizes.norm_eps);
  }

  GgufMetadata Take() && { return std::move(metadata_); }

 private:
  GgufMetadata metadata_;
};

}  // namespace vernier::checkpoint::gguf

#endif  // VERNIER_CHECKPOINT_FAMILIES_GGUF_KEYS_H_

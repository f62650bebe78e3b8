// What llama.cpp is told of a model.
#ifndef VERNIER_CHECKPOINT_FAMILIES_GGUF_MODEL_H_
#define VERNIER_CHECKPOINT_FAMILIES_GGUF_MODEL_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace vernier::checkpoint {

// The types that are written of those that GGUF has.
using GgufValue =
    std::variant<bool, uint16_t, uint32_t, int32_t, float, std::string, std::vector<bool>,
                 std::vector<int32_t>, std::vector<float>, std::vector<std::string>>;

struct GgufEntry {
  std::string key;
  GgufValue value;
};
using GgufMetadata = std::vector<GgufEntry>;  // in file order

// A family of llama.cpp's, beside its tensors.
struct GgufModel {
  std::string architecture;
  GgufMetadata metadata;  // keys without "ARCHITECTURE."
  // Factors of the rotary frequencies: the tensor rope_freqs.weight. Empty: none.
  std::vector<float> rope_factors;
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_GGUF_MODEL_H_

#include "tests/support/small_llama.h"

#include <utility>

namespace vernier::testing {
namespace {

using checkpoint::DType;

constexpr int64_t kVocabulary = 64;
constexpr int64_t kHeads = 4;
constexpr float kStaticScale = 0.125f;

}  // namespace

std::vector<TestTensor> PlainLinear(const std::string& module, int64_t rows, int64_t columns) {
  return {RandomBf16(module + ".weight", {rows, columns})};
}

std::vector<TestTensor> StaticFp8(const std::string& module, int64_t rows, int64_t columns) {
  return {RandomFp8(module + ".weight", {rows, columns}),
          FilledBf16(module + ".weight_scale_inv", {}, kStaticScale),
          FilledBf16(module + ".activation_scale", {}, 1.0f)};
}

StoreLinear BlockFp8(const std::string& scale_suffix) {
  return [scale_suffix](const std::string& module, int64_t rows, int64_t columns) {
    const std::vector<int64_t> grid = {rows / kSmallBlock, columns / kSmallBlock};
    std::vector<float> scales(ElementsOf(grid));
    for (size_t i = 0; i < scales.size(); ++i) scales[i] = 0.01f * static_cast<float>(i + 1);
    return std::vector<TestTensor>{RandomFp8(module + ".weight", {rows, columns}),
                                   MakeTensor(module + scale_suffix, DType::kF32, grid, scales)};
  };
}

Json SmallLlamaConfig(const Json& quantization, const LlamaShape& shape) {
  Json config = {{"architectures", {"LlamaForCausalLM"}},
                 {"model_type", "llama"},
                 {"hidden_act", "silu"},
                 {"hidden_size", shape.hidden},
                 {"intermediate_size", shape.wide},
                 {"num_hidden_layers", shape.layers},
                 {"num_attention_heads", kHeads},
                 {"num_key_value_heads", kHeads},
                 {"vocab_size", kVocabulary},
                 {"tie_word_embeddings", false}};
  if (!quantization.is_null()) config["quantization_config"] = quantization;
  return config;
}

std::vector<TestTensor> SmallLlamaTensors(const StoreLinear& store, const LlamaShape& shape) {
  std::vector<TestTensor> tensors = {
      RandomBf16("model.embed_tokens.weight", {kVocabulary, shape.hidden}),
      RandomBf16("model.norm.weight", {shape.hidden}),
      RandomBf16("lm_head.weight", {kVocabulary, shape.hidden})};
  const auto add = [&](const std::string& module, int64_t rows, int64_t columns) {
    for (TestTensor& part : store(module, rows, columns)) tensors.push_back(std::move(part));
  };
  for (int64_t i = 0; i < shape.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) {
      tensors.push_back(RandomBf16(layer + norm + ".weight", {shape.hidden}));
    }
    for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      add(layer + "self_attn." + name, shape.hidden, shape.hidden);
    }
    add(layer + "mlp.gate_proj", shape.wide, shape.hidden);
    add(layer + "mlp.up_proj", shape.wide, shape.hidden);
    add(layer + "mlp.down_proj", shape.hidden, shape.wide);
  }
  return tensors;
}

}  // namespace vernier::testing

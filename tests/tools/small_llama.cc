#include "tests/tools/small_llama.h"

#include <random>
#include <utility>

#include "quantizers/float_formats.h"

namespace vernier::testing {
namespace {

using checkpoint::DType;

constexpr int64_t kVocab = 64;
constexpr int64_t kHeads = 4;
constexpr float kStaticScale = 0.125f;

size_t Product(const std::vector<int64_t>& shape) {
  size_t product = 1;
  for (const int64_t extent : shape) product *= static_cast<size_t>(extent);
  return product;
}

// Other values for every name, the same on every machine.
std::mt19937 RandomFor(const std::string& name) {
  std::seed_seq seed(name.begin(), name.end());
  return std::mt19937(seed);
}

// Finite E4M3 codes of either sign.
TestTensor RandomFp8(const std::string& name, int64_t rows, int64_t columns) {
  std::mt19937 random = RandomFor(name);
  std::vector<uint8_t> codes(static_cast<size_t>(rows * columns));
  for (uint8_t& code : codes) code = static_cast<uint8_t>((random() & 0x80) | (random() % 0x60));
  return MakeTensor(name, DType::kF8E4M3, {rows, columns}, codes);
}

TestTensor Bf16Scalar(const std::string& name, float value) {
  return MakeTensor<uint16_t>(name, DType::kBF16, {}, {quantizers::FloatToBf16(value)});
}

std::vector<TestTensor> PlainLinear(const std::string& module, int64_t rows, int64_t columns) {
  return {RandomBf16(module + ".weight", {rows, columns})};
}

}  // namespace

TestTensor RandomBf16(const std::string& name, std::vector<int64_t> shape) {
  std::mt19937 random = RandomFor(name);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  std::vector<uint16_t> values(Product(shape));
  for (uint16_t& value : values) value = quantizers::FloatToBf16(normal(random));
  return MakeTensor(name, DType::kBF16, std::move(shape), values);
}

TestTensor ZeroTensor(const std::string& name, DType dtype, std::vector<int64_t> shape) {
  TestTensor tensor = {{name, dtype, std::move(shape)}, {}};
  tensor.bytes.resize(checkpoint::SpecBytes(tensor.spec));
  return tensor;
}

std::vector<TestTensor> StaticFp8(const std::string& module, int64_t rows, int64_t columns) {
  return {RandomFp8(module + ".weight", rows, columns),
          Bf16Scalar(module + ".weight_scale_inv", kStaticScale),
          Bf16Scalar(module + ".activation_scale", 1.0f)};
}

StoreLinear BlockFp8(const std::string& scale_suffix) {
  return [scale_suffix](const std::string& module, int64_t rows, int64_t columns) {
    const std::vector<int64_t> grid = {rows / kSmallBlock, columns / kSmallBlock};
    std::vector<float> scales(Product(grid));
    for (size_t i = 0; i < scales.size(); ++i) scales[i] = 0.01f * static_cast<float>(i + 1);
    return std::vector<TestTensor>{RandomFp8(module + ".weight", rows, columns),
                                   MakeTensor(module + scale_suffix, DType::kF32, grid, scales)};
  };
}

Json SmallLlamaConfig(const Json& quantization) {
  Json config = {{"architectures", {"LlamaForCausalLM"}},
                 {"model_type", "llama"},
                 {"hidden_act", "silu"},
                 {"hidden_size", kSmallHidden},
                 {"intermediate_size", kSmallWide},
                 {"num_hidden_layers", 1},
                 {"num_attention_heads", kHeads},
                 {"num_key_value_heads", kHeads},
                 {"vocab_size", kVocab},
                 {"tie_word_embeddings", false}};
  if (!quantization.is_null()) config["quantization_config"] = quantization;
  return config;
}

std::vector<TestTensor> SmallLlamaTensors(const StoreLinear& store) {
  const StoreLinear linear = store ? store : PlainLinear;
  std::vector<TestTensor> tensors = {
      RandomBf16("model.embed_tokens.weight", {kVocab, kSmallHidden}),
      RandomBf16("model.norm.weight", {kSmallHidden}),
      RandomBf16("lm_head.weight", {kVocab, kSmallHidden})};
  const std::string layer = "model.layers.0.";
  for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) {
    tensors.push_back(RandomBf16(layer + norm + ".weight", {kSmallHidden}));
  }
  const auto add = [&](const std::string& name, int64_t rows, int64_t columns) {
    for (TestTensor& part : linear(layer + name, rows, columns)) tensors.push_back(std::move(part));
  };
  for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
    add(std::string("self_attn.") + name, kSmallHidden, kSmallHidden);
  }
  add("mlp.gate_proj", kSmallWide, kSmallHidden);
  add("mlp.up_proj", kSmallWide, kSmallHidden);
  add("mlp.down_proj", kSmallHidden, kSmallWide);
  return tensors;
}

}  // namespace vernier::testing

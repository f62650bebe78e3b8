#include "tests/audit/hf_nvfp4_model.h"

#include <utility>
#include <vector>

namespace vernier::audit {
namespace {

using checkpoint::DType;
using testing::Filled;

constexpr int64_t kHfHidden = 128;
constexpr int64_t kWide = 256;
constexpr int64_t kExpertWidth = 64;
constexpr int64_t kVocab = 64;
constexpr int kHfLayers = 2;
constexpr int kHfExperts = 4;
constexpr float kGlobalScale = 0.01f;
constexpr float kHfInputScale = 0.005f;
constexpr uint8_t kNibbles = 0x21;  // 0.5 and 1
constexpr uint8_t kOne = 0x38;      // E4M3

class Builder {
 public:
  explicit Builder(QuantDialect dialect) : dialect_(dialect) {}

  void AddPlain(const std::string& name, std::vector<int64_t> shape) {
    model_.tensors.push_back(testing::FilledBf16(name, std::move(shape), 0.5f));
  }

  void AddNvfp4(const std::string& module, int64_t rows, int64_t columns) {
    const bool packed = dialect_ == QuantDialect::kCompressedTensors;
    model_.tensors.push_back(Filled(module + (packed ? ".weight_packed" : ".weight"), DType::kU8,
                                    {rows, columns / 2}, kNibbles));
    model_.tensors.push_back(
        Filled(module + ".weight_scale", DType::kF8E4M3, {rows, columns / 16}, kOne));
    AddScalar(module + (packed ? ".weight_global_scale" : ".weight_scale_2"), kGlobalScale);
    AddScalar(module + (packed ? ".input_global_scale" : ".input_scale"), kHfInputScale);
  }

  // Divisors in compressed-tensors.
  void AddScalar(const std::string& name, float value) {
    const bool packed = dialect_ == QuantDialect::kCompressedTensors;
    const std::vector<int64_t> shape = packed ? std::vector<int64_t>{1} : std::vector<int64_t>{};
    model_.tensors.push_back(Filled(name, DType::kF32, shape, packed ? 1 / value : value));
  }

  void AddFrame() {
    AddPlain("model.embed_tokens.weight", {kVocab, kHfHidden});
    AddPlain("model.norm.weight", {kHfHidden});
    AddPlain("lm_head.weight", {kVocab, kHfHidden});
    for (int layer = 0; layer < kHfLayers; ++layer) {
      AddPlain(HfModule(layer, "input_layernorm.weight"), {kHfHidden});
    }
  }

  ModelFiles Take(const Json& config) {
    model_.config = config;
    return std::move(model_);
  }

 private:
  QuantDialect dialect_;
  ModelFiles model_;
};

Json CommonConfig(const std::string& model_type) {
  return {{"model_type", model_type},       {"hidden_size", kHfHidden}, {"vocab_size", kVocab},
          {"num_hidden_layers", kHfLayers}, {"num_attention_heads", 2}, {"head_dim", kHfHidden / 2},
          {"tie_word_embeddings", false}};
}

// Both files of the modelopt dialect.
void AddModeloptConfigs(ModelFiles* model, const Json& exclusions, bool fp8_cache) {
  const Json producer = {{"name", "modelopt"}, {"version", "test"}};
  model->config["quantization_config"] = {
      {"quant_method", "modelopt"}, {"quant_algo", "NVFP4"}, {"group_size", 16},
      {"ignore", exclusions},       {"producer", producer},
  };
  if (fp8_cache) {
    model->Inline()["kv_cache_scheme"] = {{"type", "float"}, {"num_bits", 8}, {"dynamic", false}};
  }
  model->quant_config = {{"producer", producer},
                         {"quantization",
                          {{"quant_algo", "NVFP4"},
                           {"kv_cache_quant_algo", fp8_cache ? Json("FP8") : Json(nullptr)},
                           {"group_size", 16},
                           {"exclude_modules", exclusions}}}};
}

Json CompressedConfig() {
  const Json numbers = {
      {"num_bits", 4}, {"type", "float"}, {"strategy", "tensor_group"}, {"group_size", 16}};
  return {{"quant_method", "compressed-tensors"},
          {"format", "nvfp4-pack-quantized"},
          {"config_groups",
           {{"group_0",
             {{"targets", {"Linear"}}, {"weights", numbers}, {"input_activations", numbers}}}}},
          {"ignore", {"lm_head"}}};
}

}  // namespace

std::string HfModule(int layer, const std::string& name) {
  return "model.layers." + std::to_string(layer) + "." + name;
}

ModelFiles MakeLlamaNvfp4(QuantDialect dialect) {
  Builder builder(dialect);
  builder.AddFrame();
  const bool modelopt = dialect == QuantDialect::kModelopt;
  for (int layer = 0; layer < kHfLayers; ++layer) {
    for (const char* projection : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      builder.AddNvfp4(HfModule(layer, std::string("self_attn.") + projection), kHfHidden,
                       kHfHidden);
    }
    builder.AddNvfp4(HfModule(layer, "mlp.gate_proj"), kWide, kHfHidden);
    builder.AddNvfp4(HfModule(layer, "mlp.up_proj"), kWide, kHfHidden);
    builder.AddNvfp4(HfModule(layer, "mlp.down_proj"), kHfHidden, kWide);
    if (!modelopt) continue;
    builder.AddScalar(HfModule(layer, "self_attn.k_proj.k_scale"), 1);
    builder.AddScalar(HfModule(layer, "self_attn.v_proj.v_scale"), 1);
  }
  ModelFiles model = builder.Take(CommonConfig("llama"));
  if (modelopt) {
    AddModeloptConfigs(&model, {"lm_head"}, /*fp8_cache=*/true);
  } else {
    model.config["quantization_config"] = CompressedConfig();
  }
  return model;
}

ModelFiles MakeQwenMoeNvfp4() {
  Builder builder(QuantDialect::kModelopt);
  builder.AddFrame();
  Json exclusions = {"lm_head"};
  for (int layer = 0; layer < kHfLayers; ++layer) {
    for (const char* projection : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      const std::string module = HfModule(layer, std::string("self_attn.") + projection);
      builder.AddPlain(module + ".weight", {kHfHidden, kHfHidden});
      exclusions.push_back(module);
    }
    builder.AddPlain(HfModule(layer, "mlp.gate.weight"), {kHfExperts, kHfHidden});
    exclusions.push_back(HfModule(layer, "mlp.gate"));
    for (int expert = 0; expert < kHfExperts; ++expert) {
      const std::string prefix = HfModule(layer, "mlp.experts." + std::to_string(expert) + ".");
      builder.AddNvfp4(prefix + "gate_proj", kExpertWidth, kHfHidden);
      builder.AddNvfp4(prefix + "up_proj", kExpertWidth, kHfHidden);
      builder.AddNvfp4(prefix + "down_proj", kHfHidden, kExpertWidth);
    }
  }
  Json config = CommonConfig("qwen3_moe");
  config["num_experts"] = kHfExperts;
  config["num_experts_per_tok"] = 2;
  config["moe_intermediate_size"] = kExpertWidth;
  ModelFiles model = builder.Take(config);
  AddModeloptConfigs(&model, exclusions, /*fp8_cache=*/false);
  return model;
}

}  // namespace vernier::audit

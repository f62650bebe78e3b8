#include "tests/audit/fp8_model.h"

#include <string>
#include <utility>
#include <vector>

#include "base/rounding.h"
#include "tests/audit/hf_nvfp4_model.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using testing::Filled;
using testing::FilledBf16;

constexpr int64_t kFp8Vocab = 64;
constexpr int kFp8Experts = 2;
constexpr int64_t kFp8Side = 128;
constexpr uint8_t kFp8One = 0x38;

class Fp8Builder {
 public:
  explicit Fp8Builder(const Fp8Options& options) : options_(options) {}

  ModelFiles Build() {
    const int64_t hidden = options_.hidden, width = options_.expert_width;
    AddPlain("model.embed_tokens.weight", {kFp8Vocab, hidden});
    AddPlain("model.norm.weight", {hidden});
    AddPlain("lm_head.weight", {kFp8Vocab, hidden});
    AddPlain(HfModule(0, "input_layernorm.weight"), {hidden});
    AddPlain(HfModule(0, "mlp.gate.weight"), {kFp8Experts, hidden});
    AddFp8(HfModule(0, "self_attn.q_proj"), hidden, hidden);
    AddFp8(HfModule(0, "self_attn.k_proj"), options_.key_rows, hidden);
    AddFp8(HfModule(0, "self_attn.v_proj"), options_.key_rows, hidden);
    AddFp8(HfModule(0, "self_attn.o_proj"), hidden, hidden);
    for (int expert = 0; expert < kFp8Experts; ++expert) {
      const std::string prefix = HfModule(0, "mlp.experts." + std::to_string(expert) + ".");
      AddFp8(prefix + "gate_proj", width, hidden);
      AddFp8(prefix + "up_proj", width, hidden);
      AddFp8(prefix + "down_proj", hidden, width);
    }
    AddConfig();
    return std::move(model_);
  }

 private:
  bool compressed() const { return options_.dialect == QuantDialect::kCompressedTensors; }

  void AddPlain(const std::string& name, std::vector<int64_t> shape) {
    model_.tensors.push_back(FilledBf16(name, std::move(shape), 0.5f));
  }

  std::vector<int64_t> ScaleShape(int64_t rows, int64_t columns) const {
    switch (options_.scales) {
      case Fp8Scales::kRow:
        return compressed() ? std::vector<int64_t>{rows, 1} : std::vector<int64_t>{rows};
      case Fp8Scales::kBlock: {
        const int64_t down = CeilDivide(rows, kFp8Side), across = CeilDivide(columns, kFp8Side);
        if (compressed()) return {down, across};
        return {down, 1, across, 1};
      }
      case Fp8Scales::kTensor:
        break;
    }
    return compressed() ? std::vector<int64_t>{1} : std::vector<int64_t>{};
  }

  void AddFp8(const std::string& module, int64_t rows, int64_t columns) {
    model_.tensors.push_back(Filled(module + ".weight", DType::kF8E4M3, {rows, columns}, kFp8One));
    model_.tensors.push_back(
        Filled(module + ".weight_scale", DType::kF32, ScaleShape(rows, columns), 0.01f));
    if (!options_.input_scales) return;
    const std::vector<int64_t> shape =
        compressed() ? std::vector<int64_t>{1} : std::vector<int64_t>{};
    model_.tensors.push_back(Filled(module + ".input_scale", DType::kF32, shape, 0.1f));
  }

  Json GroupOfCompressed() const {
    static const char* const kStrategies[] = {"tensor", "channel", "block"};
    static const char* const kInputs[] = {"token", "token", "group"};
    const auto scales = static_cast<size_t>(options_.scales);
    Json weights = {{"num_bits", 8}, {"type", "float"}, {"strategy", kStrategies[scales]}};
    if (options_.scales == Fp8Scales::kBlock) weights["block_structure"] = {kFp8Side, kFp8Side};
    Json inputs = {{"num_bits", 8},
                   {"type", "float"},
                   {"strategy", kInputs[scales]},
                   {"dynamic", !options_.input_scales}};
    if (options_.input_scales) inputs["strategy"] = "tensor";
    return {{"targets", {"Linear"}}, {"weights", weights}, {"input_activations", inputs}};
  }

  void AddConfig() {
    static const char* const kAlgos[] = {"FP8", "FP8_PER_CHANNEL_PER_TOKEN", "fp8_pb_wo"};
    model_.config = {{"model_type", "qwen3_moe"},
                     {"hidden_size", options_.hidden},
                     {"vocab_size", kFp8Vocab},
                     {"num_hidden_layers", 1},
                     {"num_attention_heads", 2},
                     {"head_dim", options_.hidden / 2},
                     {"num_experts", kFp8Experts},
                     {"num_experts_per_tok", 1},
                     {"moe_intermediate_size", options_.expert_width},
                     {"tie_word_embeddings", false}};
    const Json ignore = {"lm_head", HfModule(0, "mlp.gate")};
    Json& inline_config = model_.config["quantization_config"];
    if (compressed()) {
      inline_config = {{"quant_method", "compressed-tensors"},
                       {"config_groups", {{"group_0", GroupOfCompressed()}}},
                       {"ignore", ignore}};
      return;
    }
    const Json producer = {{"name", "modelopt"}, {"version", "test"}};
    const char* algo = kAlgos[static_cast<size_t>(options_.scales)];
    inline_config = {{"quant_method", "modelopt"},
                     {"quant_algo", algo},
                     {"ignore", ignore},
                     {"producer", producer}};
    model_.quant_config = {
        {"producer", producer},
        {"quantization",
         {{"quant_algo", algo}, {"kv_cache_quant_algo", nullptr}, {"exclude_modules", ignore}}}};
  }

  Fp8Options options_;
  ModelFiles model_;
};

}  // namespace

ModelFiles MakeFp8Moe(const Fp8Options& options) { return Fp8Builder(options).Build(); }

}  // namespace vernier::audit

#include "tests/audit/published_tensors.h"

#include <cstdint>
#include <string>
#include <utility>

#include "base/rounding.h"
#include "checkpoint/families/deepseek_v4_tensors.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using checkpoint::TensorSpec;
using Shape = std::vector<int64_t>;
using Specs = std::vector<TensorSpec>;

constexpr int64_t kFp8Block = 128;
constexpr int64_t kNvfp4Block = 16;
constexpr std::string_view kNativeFlash = "deepseek-ai--DeepSeek-V4-Flash";
constexpr std::string_view kNativePro = "deepseek-ai--DeepSeek-V4-Pro";

int64_t Blocks(int64_t size) { return CeilDivide(size, kFp8Block); }

bool EndsWithStar(std::string_view pattern) { return pattern.ends_with('*'); }

// Plain names and prefixes with a star are all that the published lists for HF names hold.
bool Matches(const std::vector<std::string>& patterns, std::string_view module) {
  for (const std::string_view pattern : patterns) {
    if (EndsWithStar(pattern) ? module.starts_with(pattern.substr(0, pattern.size() - 1))
                              : module == pattern) {
      return true;
    }
  }
  return false;
}

void AddNvfp4(const std::string& module, const Shape& shape, Specs* specs) {
  specs->push_back({module + ".weight", DType::kU8, {shape[0], shape[1] / 2}});
  specs->push_back({module + ".weight_scale", DType::kF8E4M3, {shape[0], shape[1] / kNvfp4Block}});
  specs->push_back({module + ".weight_scale_2", DType::kF32, {}});
  specs->push_back({module + ".input_scale", DType::kF32, {}});
}

// DeepSeek-V3's and Qwen3-MoE's tensors, under Hugging Face's names.
class HfInventory {
 public:
  explicit HfInventory(const PublishedConfig& published)
      : config_(published.config),
        excluded_(ExcludedModules(published)),
        nvfp4_(!published.quant_config.is_null()),
        kv_scales_(nvfp4_ &&
                   published.quant_config["quantization"]["kv_cache_quant_algo"] == "FP8"),
        hidden_(Get("hidden_size")) {}

  Specs DeepseekV3() {
    Plain("model.embed_tokens.weight", {Get("vocab_size"), hidden_});
    for (int64_t i = 0; i < Get("num_hidden_layers"); ++i) DeepseekV3Layer(i);
    for (int64_t i = 0; i < Get("num_nextn_predict_layers"); ++i) {
      MtpLayer(Get("num_hidden_layers") + i);
    }
    End();
    return std::move(specs_);
  }

  Specs Qwen3Moe() {
    Plain("model.embed_tokens.weight", {Get("vocab_size"), hidden_});
    for (int64_t i = 0; i < Get("num_hidden_layers"); ++i) Qwen3MoeLayer(i);
    End();
    return std::move(specs_);
  }

 private:
  int64_t Get(const char* key) const { return config_[key]; }

  void Plain(std::string name, Shape shape, DType dtype = DType::kBF16) {
    specs_.push_back({std::move(name), dtype, std::move(shape)});
  }

  // A linear layer: NVFP4 unless excluded, or in the release's FP8 blocks or BF16.
  void Linear(const std::string& module, const Shape& shape) {
    const bool fp8 = !nvfp4_ && config_.contains("quantization_config");
    if (nvfp4_ ? Matches(excluded_, module) : !fp8) return Plain(module + ".weight", shape);
    if (nvfp4_) return AddNvfp4(module, shape, &specs_);
    Plain(module + ".weight", shape, DType::kF8E4M3);
    Plain(module + ".weight_scale_inv", {Blocks(shape[0]), Blocks(shape[1])}, DType::kF32);
  }

  void KvScales(const std::string& attention) {
    if (!kv_scales_ || Matches(excluded_, attention)) return;
    Plain(attention + ".k_proj.k_scale", {}, DType::kF32);
    Plain(attention + ".v_proj.v_scale", {}, DType::kF32);
  }

  void Mlp(const std::string& module, int64_t width) {
    Linear(module + ".gate_proj", {width, hidden_});
    Linear(module + ".up_proj", {width, hidden_});
    Linear(module + ".down_proj", {hidden_, width});
  }

  void Experts(const std::string& mlp, int64_t experts) {
    Plain(mlp + ".gate.weight", {experts, hidden_});
    for (int64_t i = 0; i < experts; ++i) {
      Mlp(mlp + ".experts." + std::to_string(i), Get("moe_intermediate_size"));
    }
  }

  void Norms(const std::string& layer) {
    Plain(layer + ".input_layernorm.weight", {hidden_});
    Plain(layer + ".post_attention_layernorm.weight", {hidden_});
  }

  void LatentAttention(const std::string& attention) {
    const int64_t heads = Get("num_attention_heads");
    const int64_t rope = Get("qk_rope_head_dim");
    const int64_t nope = Get("qk_nope_head_dim");
    Linear(attention + ".q_a_proj", {Get("q_lora_rank"), hidden_});
    Plain(attention + ".q_a_layernorm.weight", {Get("q_lora_rank")});
    Linear(attention + ".q_b_proj", {heads * (nope + rope), Get("q_lora_rank")});
    Linear(attention + ".kv_a_proj_with_mqa", {Get("kv_lora_rank") + rope, hidden_});
    Plain(attention + ".kv_a_layernorm.weight", {Get("kv_lora_rank")});
    Linear(attention + ".kv_b_proj", {heads * (nope + Get("v_head_dim")), Get("kv_lora_rank")});
    Linear(attention + ".o_proj", {hidden_, heads * Get("v_head_dim")});
    KvScales(attention);
    if (config_.contains("index_n_heads")) Indexer(attention + ".indexer");
  }

  void Indexer(const std::string& indexer) {
    const int64_t width = Get("index_head_dim");
    Linear(indexer + ".wq_b", {Get("index_n_heads") * width, Get("q_lora_rank")});
    Linear(indexer + ".wk", {width, hidden_});
    Plain(indexer + ".k_norm.weight", {width}, DType::kF32);
    Plain(indexer + ".k_norm.bias", {width}, DType::kF32);
    Plain(indexer + ".weights_proj.weight", {Get("index_n_heads"), hidden_});
  }

  void DeepseekV3Layer(int64_t i) {
    const std::string layer = "model.layers." + std::to_string(i);
    Norms(layer);
    LatentAttention(layer + ".self_attn");
    const std::string mlp = layer + ".mlp";
    if (i < Get("first_k_dense_replace")) return Mlp(mlp, Get("intermediate_size"));
    Plain(mlp + ".gate.e_score_correction_bias", {Get("n_routed_experts")}, DType::kF32);
    Experts(mlp, Get("n_routed_experts"));
    Mlp(mlp + ".shared_experts", Get("moe_intermediate_size") * Get("n_shared_experts"));
  }

  void MtpLayer(int64_t i) {
    const std::string layer = "model.layers." + std::to_string(i);
    Plain(layer + ".embed_tokens.weight", {Get("vocab_size"), hidden_});
    Plain(layer + ".enorm.weight", {hidden_});
    Plain(layer + ".hnorm.weight", {hidden_});
    Plain(layer + ".eh_proj.weight", {hidden_, 2 * hidden_});
    DeepseekV3Layer(i);
    Plain(layer + ".shared_head.norm.weight", {hidden_});
    Plain(layer + ".shared_head.head.weight", {Get("vocab_size"), hidden_});
  }

  void Qwen3MoeLayer(int64_t i) {
    const std::string layer = "model.layers." + std::to_string(i);
    const std::string attention = layer + ".self_attn";
    const int64_t width = Get("head_dim");
    Norms(layer);
    Linear(attention + ".q_proj", {Get("num_attention_heads") * width, hidden_});
    Linear(attention + ".k_proj", {Get("num_key_value_heads") * width, hidden_});
    Linear(attention + ".v_proj", {Get("num_key_value_heads") * width, hidden_});
    Linear(attention + ".o_proj", {hidden_, Get("num_attention_heads") * width});
    Plain(attention + ".q_norm.weight", {width});
    Plain(attention + ".k_norm.weight", {width});
    KvScales(attention);
    Experts(layer + ".mlp", Get("num_experts"));
  }

  void End() {
    Plain("model.norm.weight", {hidden_});
    Plain("lm_head.weight", {Get("vocab_size"), hidden_});
  }

  const Json& config_;
  std::vector<std::string> excluded_;
  bool nvfp4_;
  bool kv_scales_;
  int64_t hidden_;
  Specs specs_;
};

// NVIDIA's: routed experts of decoder layers NVFP4. The "-FP8" ones: all experts E4M3 in blocks.
Specs DeepseekV4Expert(const checkpoint::TensorRow& tensor, std::string_view name) {
  const std::string module = tensor.name.substr(0, tensor.name.rfind('.'));
  Specs specs;
  if (name.ends_with("-NVFP4") && tensor.name.starts_with("layers.")) {
    AddNvfp4(module, tensor.shape, &specs);
    return specs;
  }
  if (!name.ends_with("-FP8")) return checkpoint::ReleasedTensors(tensor);
  specs.push_back({module + ".weight", DType::kF8E4M3, tensor.shape});
  specs.push_back(
      {module + ".scale", DType::kF8E8M0, {Blocks(tensor.shape[0]), Blocks(tensor.shape[1])}});
  return specs;
}

// sgl-project's configurations lack fields that are in the released ones.
Json CompleteDeepseekV4Config(std::string_view name, const Json& config) {
  const bool pro = name.find("-Pro") != std::string_view::npos;
  Json complete = ReadWholeConfig(pro ? kNativePro : kNativeFlash);
  complete.update(config);
  return complete;
}

Specs DeepseekV4Tensors(std::string_view name, const Json& config) {
  const auto parsed = checkpoint::ParseDeepseekV4Config(CompleteDeepseekV4Config(name, config));
  Specs specs;
  for (const checkpoint::TensorRow& tensor : checkpoint::DeepseekV4Rows(parsed)) {
    const bool expert = tensor.stored == checkpoint::ReleasedStorage::kMxfp4;
    const Specs stored =
        expert ? DeepseekV4Expert(tensor, name) : checkpoint::ReleasedTensors(tensor);
    specs.insert(specs.end(), stored.begin(), stored.end());
  }
  return specs;
}

}  // namespace

std::vector<TensorSpec> PublishedTensors(std::string_view name, const PublishedConfig& published) {
  const Json& config = published.config;
  if (config.contains("num_hash_layers")) return DeepseekV4Tensors(name, config);
  if (config["model_type"] == "qwen3_moe") return HfInventory(published).Qwen3Moe();
  return HfInventory(published).DeepseekV3();
}

}  // namespace vernier::audit

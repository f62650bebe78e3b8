#include "tests/support/hf_model.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "checkpoint/families/kv_cache.h"
#include "tests/support/synthetic_checkpoint.h"

namespace vernier::testing {
namespace {

using checkpoint::DType;
using checkpoint::Role;
using checkpoint::TensorMeaning;

constexpr int64_t kHidden = 128;
constexpr int64_t kWide = 256;
constexpr int64_t kVocab = 64;
constexpr int64_t kFp8Block = 128;
constexpr int64_t kNvfp4Block = 16;

bool Contains(std::string_view name, std::string_view part) {
  return name.find(part) != std::string_view::npos;
}

Role RoleOf(std::string_view name) {
  if (Contains(name, "layers.2.")) return Role::kMtp;
  if (Contains(name, "embed_tokens")) return Role::kEmbedding;
  if (Contains(name, "lm_head")) return Role::kLmHead;
  if (Contains(name, "norm")) return Role::kNorm;
  if (Contains(name, "self_attn")) return Role::kAttention;
  if (Contains(name, "mlp.gate.")) return Role::kRouter;
  if (Contains(name, "shared_experts")) return Role::kSharedExpert;
  if (Contains(name, "experts.")) return Role::kRoutedExpert;
  return Contains(name, "mlp.") ? Role::kDenseMlp : Role::kOther;
}

class HfFamily : public checkpoint::Family {
 public:
  std::string_view model_type() const override { return "test_hf"; }

  TensorMeaning Classify(std::string_view name) const override {
    TensorMeaning meaning;
    meaning.role = RoleOf(name);
    meaning.keeps_precision = meaning.role == Role::kRouter;
    meaning.linear = name.ends_with("_proj.weight") || name == "lm_head.weight" ||
                     name.ends_with("mlp.gate.weight");
    const size_t layer = name.find("layers.");
    if (layer != std::string_view::npos) meaning.layer = name[layer + 7] - '0';
    if (const size_t expert = name.find(".experts."); expert != std::string_view::npos) {
      meaning.expert = name[expert + 9] - '0';
      meaning.experts_module = name.substr(0, expert + 8);
    }
    if (meaning.linear) {
      const std::string_view module =
          name.substr(0, name.size() - std::string_view(".weight").size());
      meaning.projection = module.substr(module.rfind('.') + 1);
    }
    const std::string parent(name.substr(0, name.find_last_of('.', name.size() - 8)));
    const bool is_qkv = Contains(name, "q_proj") || Contains(name, "k_proj.weight") ||
                        Contains(name, "v_proj.weight");
    const bool is_gate_up = Contains(name, "gate_proj") || Contains(name, "up_proj");
    if (meaning.linear && is_qkv) meaning.fused_group = parent + ".qkv";
    if (meaning.linear && is_gate_up) meaning.fused_group = parent + ".gate_up";
    return meaning;
  }

  checkpoint::ModelDims Dims() const override { return {.hidden_size = kHidden, .layers = 2}; }
  std::vector<checkpoint::KvCacheEntry> KvCache(
      const checkpoint::ModelLayout& layout) const override {
    return checkpoint::HfKvCache(layout);
  }
  std::vector<checkpoint::ConfigPatch> PatchConfig(Json&) const override { return {}; }
  std::vector<std::string> RequiredTensors() const override { return {}; }
  void CheckShapes(const checkpoint::ModelLayout&) const override {}
};

class TensorList {
 public:
  explicit TensorList(HfFormat format) : format_(format) {}

  void Add(std::string name, DType dtype, std::vector<int64_t> shape) {
    tensors_.push_back(Zeros(std::move(name), dtype, std::move(shape)));
  }

  void AddLinear(const std::string& module, int64_t rows, int64_t columns) {
    switch (format_) {
      case HfFormat::kBf16:
        return Add(module + ".weight", DType::kBF16, {rows, columns});
      case HfFormat::kNativeFp8:
      case HfFormat::kCompressed:
        Add(module + ".weight", DType::kF8E4M3, {rows, columns});
        return Add(
            module + (format_ == HfFormat::kNativeFp8 ? ".weight_scale_inv" : ".weight_scale"),
            DType::kF32, {rows / kFp8Block, columns / kFp8Block});
      case HfFormat::kModelopt:
        Add(module + ".weight", DType::kU8, {rows, columns / 2});
        Add(module + ".weight_scale", DType::kF8E4M3, {rows, columns / kNvfp4Block});
        Add(module + ".weight_scale_2", DType::kF32, {});
        return Add(module + ".input_scale", DType::kF32, {});
    }
  }

  void AddMlp(const std::string& module) {
    AddLinear(module + ".gate_proj", kWide, kHidden);
    AddLinear(module + ".up_proj", kWide, kHidden);
    AddLinear(module + ".down_proj", kHidden, kWide);
  }

  void AddAttention(const std::string& layer) {
    for (const char* projection : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      AddLinear(layer + ".self_attn." + projection, kWide, kHidden);
    }
    Add(layer + ".self_attn.q_proj.bias", DType::kBF16, {kWide});
    Add(layer + ".input_layernorm.weight", DType::kBF16, {kHidden});
  }

  const std::vector<TestTensor>& tensors() const { return tensors_; }

 private:
  HfFormat format_;
  std::vector<TestTensor> tensors_;
};

Json QuantizationConfig(HfFormat format) {
  switch (format) {
    case HfFormat::kBf16:
      return nullptr;
    case HfFormat::kNativeFp8:
      return {{"quant_method", "fp8"}, {"weight_block_size", {kFp8Block, kFp8Block}}};
    case HfFormat::kModelopt:
      return {{"quant_method", "modelopt"}, {"quant_algo", "NVFP4"}};
    case HfFormat::kCompressed:
      return {{"quant_method", "compressed-tensors"}, {"format", "float-quantized"}};
  }
  return nullptr;
}

}  // namespace

checkpoint::SourceModel MakeHfModel(const std::filesystem::path& directory,
                                    const HfOptions& options) {
  TensorList list(options.format);
  list.Add("model.embed_tokens.weight", DType::kBF16, {kVocab, kHidden});
  for (const char* layer : {"model.layers.0", "model.layers.1"}) list.AddAttention(layer);
  list.AddMlp("model.layers.0.mlp");
  list.Add("model.layers.1.mlp.gate.weight", DType::kBF16, {2, kHidden});
  for (const char* expert : {"experts.0", "experts.1", "shared_experts"}) {
    list.AddMlp(std::string("model.layers.1.mlp.") + expert);
  }
  list.Add("model.layers.2.eh_proj.weight", DType::kBF16, {kHidden, kWide});
  list.Add("model.norm.weight", DType::kBF16, {kHidden});
  if (!options.tied_head) list.Add("lm_head.weight", DType::kBF16, {kVocab, kHidden});
  if (options.kv_scales) {
    list.Add("model.layers.0.self_attn.k_proj.k_scale", DType::kF32, {});
    list.Add("model.layers.0.self_attn.v_proj.v_scale", DType::kF32, {});
  }
  Json config = {{"model_type", "test_hf"}, {"tie_word_embeddings", options.tied_head}};
  const Json quantization = QuantizationConfig(options.format);
  if (!quantization.is_null()) config["quantization_config"] = quantization;
  WriteCheckpoint(directory, config, list.tensors(), /*shards=*/1);
  if (options.format == HfFormat::kModelopt) {
    const Json nested = {{"quantization", {{"quant_algo", "NVFP4"}}}};
    WriteFileAtomically(directory / "hf_quant_config.json", nested.dump());
  }
  checkpoint::Checkpoint checkpoint = checkpoint::Checkpoint::Open(directory);
  auto family = std::make_unique<HfFamily>();
  checkpoint::ModelLayout layout = checkpoint::BuildModelLayout(checkpoint, *family);
  return {std::move(checkpoint), std::move(family), std::move(layout)};
}

}  // namespace vernier::testing

// DeepSeek-V4: what its released checkpoints hold.
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "checkpoint/families/deepseek_v4_config.h"
#include "checkpoint/families/deepseek_v4_folds.h"
#include "checkpoint/families/deepseek_v4_gguf.h"
#include "checkpoint/families/deepseek_v4_names.h"
#include "checkpoint/families/deepseek_v4_patches.h"
#include "checkpoint/families/deepseek_v4_tensors.h"
#include "checkpoint/families/family.h"
#include "checkpoint/families/tensor_table.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/tensor_group.h"

namespace vernier::checkpoint {
namespace {

constexpr std::string_view kModelType = "deepseek_v4";

// Its sparse attention has a cache of its own in FP8, in blocks of 256 tokens, and its chats are
// written by code rather than a template.
constexpr ServingFlags kServing = {
    .vllm =
        "--enable-expert-parallel --kv-cache-dtype fp8 --block-size 256 "
        "--tokenizer-mode deepseek_v4"};

// What stands somewhere in a layer and is in no table: newer releases add tensors there.
struct Area {
  std::string prefix;  // of the name below the layer
  Role role;
  bool keeps_precision;
};

std::vector<Area> MakeAreas() {
  using namespace deepseek_v4;
  const auto below = [](std::string_view module, std::string_view name) {
    return Below(module, name) + ".";
  };
  return {{std::string(kAttentionStreams), Role::kHyperConnection, false},
          {std::string(kFfnStreams), Role::kHyperConnection, false},
          {below(kAttention, kCompressor), Role::kCompressor, true},
          {below(kAttention, kIndexer), Role::kIndexer, true},
          {below(kFfn, kRouter), Role::kRouter, true}};
}

bool RemovePrefix(std::string_view prefix, std::string_view* name) {
  if (!name->starts_with(prefix)) return false;
  name->remove_prefix(prefix.size());
  return true;
}

// Takes "12." off the front of `name`; nothing when it does not begin so.
std::optional<int> TakeNumber(std::string_view* name) {
  int number = 0;
  const char* end = name->data() + name->size();
  const auto [stop, error] = std::from_chars(name->data(), end, number);
  if (error != std::errc() || number < 0 || stop == end || *stop != '.') return std::nullopt;
  name->remove_prefix(static_cast<size_t>(stop - name->data()) + 1);
  return number;
}

// Understands names that the config does not imply: of layers of another kind than it says, of more
// MTP layers, and of tensors that newer releases add.
class UnlistedNames {
 public:
  explicit UnlistedNames(const DeepseekV4Config& config)
      : layers_(config.layers()),
        experts_(config.n_routed_experts),
        rows_(DeepseekV4LayerRows(config)),
        areas_(MakeAreas()),
        experts_prefix_(deepseek_v4::Below(deepseek_v4::kFfn, deepseek_v4::kExperts) + ".") {}

  TensorMeaning Classify(std::string_view whole) const {
    std::string_view name = whole;
    const bool mtp = RemovePrefix(deepseek_v4::kMtpLayers, &name);
    if (!mtp && !RemovePrefix(deepseek_v4::kLayers, &name)) {
      const bool streams = whole.starts_with(deepseek_v4::kStreamHead);
      return MeaningOf(streams ? Role::kHyperConnection : Role::kOther);
    }
    const std::optional<int> layer = TakeNumber(&name);
    if (!layer || (!mtp && *layer >= layers_)) return {};
    TensorMeaning meaning = ClassifyInLayer(whole, name, mtp);
    if (mtp) meaning.role = Role::kMtp;
    if (meaning.role == Role::kOther || (!mtp && meaning.expert >= experts_)) return {};
    meaning.layer = *layer;
    return meaning;
  }

 private:
  // `name`: the end of the name `whole`, below the layer.
  TensorMeaning ClassifyInLayer(std::string_view whole, std::string_view name, bool mtp) const {
    std::string_view below = name;
    if (RemovePrefix(experts_prefix_, &below)) return ClassifyExpert(whole, below);
    const TensorRow* row = rows_.Find(name);
    if (row == nullptr) return ClassifyByArea(name);
    if (row->meaning.role == Role::kMtp && !mtp) return {};
    return InPlace(row->meaning, whole);
  }

  // `name`: behind "experts.".
  TensorMeaning ClassifyExpert(std::string_view whole, std::string_view name) const {
    const std::string_view container = whole.substr(0, whole.size() - name.size() - 1);
    const std::optional<int> expert = TakeNumber(&name);
    const TensorRow* row = rows_.Find(experts_prefix_ + "0." + std::string(name));
    if (!expert || row == nullptr) return {};
    TensorMeaning meaning = InPlace(row->meaning, whole);
    meaning.expert = *expert;
    meaning.experts_module = container;
    return meaning;
  }

  // What a row below any layer says, of the tensor `whole`: its group stands beside its module.
  static TensorMeaning InPlace(TensorMeaning meaning, std::string_view whole) {
    if (meaning.fused_group.empty()) return meaning;
    const std::string group = meaning.fused_group.substr(meaning.fused_group.rfind('.') + 1);
    const size_t leaf = meaning.projection.size() + kWeightSuffix.size();
    meaning.fused_group = std::string(whole.substr(0, whole.size() - leaf)) + group;
    return meaning;
  }

  TensorMeaning ClassifyByArea(std::string_view name) const {
    for (const Area& area : areas_) {
      if (!name.starts_with(area.prefix)) continue;
      TensorMeaning meaning = MeaningOf(area.role);
      meaning.keeps_precision = area.keeps_precision;
      meaning.linear =
          area.keeps_precision && name.ends_with(kWeightSuffix) && !name.ends_with("norm.weight");
      if (meaning.linear) meaning.projection = LeafOfWeight(name);
      return meaning;
    }
    return {};
  }

  // "wkv" of "attn.compressor.wkv.weight".
  static std::string LeafOfWeight(std::string_view name) {
    name.remove_suffix(kWeightSuffix.size());
    return std::string(name.substr(name.rfind('.') + 1));
  }

  int64_t layers_, experts_;
  TensorTable rows_;  // DeepseekV4LayerRows
  std::vector<Area> areas_;
  std::string experts_prefix_;  // "ffn.experts."
};

// Of a model of this layer alone.
ModelDims DimsOf(const DeepseekV4Config& config, const DeepseekV4Block& block) {
  return {.hidden_size = config.hidden_size,
          .residual_streams = config.hc_mult,
          .layers = 1,
          .vocab_size = config.vocab_size,
          .experts = config.n_routed_experts,
          .experts_per_token = config.num_experts_per_tok,
          .expert_width = config.moe_intermediate_size,
          .mlp_width = config.n_shared_experts * config.moe_intermediate_size,
          .attention_heads = config.num_attention_heads,
          .key_value_heads = 1,
          .head_dim = config.head_dim,
          .max_keys = config.sliding_window,
          .key_compression = block.compress_ratio};
}

class DeepseekV4Family : public Family {
 public:
  explicit DeepseekV4Family(const Json& config)
      : config_(ParseDeepseekV4Config(config)),
        table_(DeepseekV4Rows(config_)),
        unlisted_(config_) {}

  std::string_view model_type() const override { return kModelType; }

  FamilyFacts Facts() const override {
    return {.converted = {Role::kRoutedExpert},
            .nvfp4_beside_native = true,
            .engine_code = EngineCode::kDeepseekV4,
            .serving = kServing};
  }

  TensorMeaning Classify(std::string_view name) const override {
    const TensorRow* row = table_.Find(name);
    return row != nullptr ? row->meaning : unlisted_.Classify(name);
  }

  ModelDims Dims() const override {
    ModelDims dims = DimsOf(config_, config_.blocks.front());
    for (size_t i = 1; i < config_.blocks.size(); ++i) {
      dims = Join(dims, DimsOf(config_, config_.blocks[i]));
    }
    return dims;
  }

  std::vector<Fold> Folds(const ModelLayout& layout) const override {
    return FoldsOfDeepseekV4(config_, layout);
  }

  std::optional<GgufModel> Gguf(const Json& config) const override {
    return GgufOfDeepseekV4(config_, config);
  }
  GgufTensor GgufTensorOf(std::string_view name) const override {
    return GgufTensorOfDeepseekV4(name);
  }

  std::vector<ConfigPatch> PatchConfig(Json& config) const override {
    return PatchDeepseekV4Config(config);
  }

  std::vector<std::string> RequiredTensors() const override { return table_.Required(); }
  void CheckShapes(const ModelLayout& layout) const override { table_.CheckShapes(layout); }

 private:
  DeepseekV4Config config_;
  TensorTable table_;
  UnlistedNames unlisted_;
};

}  // namespace

std::unique_ptr<Family> MakeDeepseekV4Family(const Json& config) {
  return std::make_unique<DeepseekV4Family>(config);
}

}  // namespace vernier::checkpoint

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "audit/rules.h"
#include "checkpoint/families/deepseek_v4_config.h"
#include "quantizers/nvfp4.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using checkpoint::Role;

constexpr Defect kWrongField = {
    "V15", Severity::kError, "config.json does not select the engines' path for this layout",
    "Set the field in quantization_config as NVIDIA's DeepSeek-V4 NVFP4 checkpoints do"};
constexpr Defect kForeignNames = {"V15", Severity::kError,
                                  "tensors do not have DeepSeek-V4's native names",
                                  "Export with the names of the released checkpoint"};
constexpr Defect kLeftoverScale = {"V15", Severity::kError,
                                   "an NVFP4 weight still has the scale of its source format",
                                   "Drop the .scale tensor"};
constexpr Defect kMxfp4AsU8 = {"V15", Severity::kError,
                               "MXFP4 is stored as U8, which engines read as NVFP4",
                               "Store MXFP4 nibbles as I8"};
constexpr Defect kExpertNotNvfp4 = {
    "V15", Severity::kError, "moe_quant_algo is NVFP4 but a routed expert is not",
    "Quantise the routed experts of every layer: engines take all of them to be NVFP4"};
constexpr Defect kAttentionNvfp4 = {
    "V15", Severity::kWarning,
    "attention, indexer or shared-expert weights are NVFP4, which no released engine path loads",
    "For vLLM, SGLang or TensorRT-LLM leave them in FP8 (recipe deepseek-v4-nvfp4-experts)"};
constexpr Defect kAttentionNotFp8 = {
    "V15", Severity::kWarning, "an attention weight is neither FP8 nor NVFP4",
    "Carry attention over in FP8 with 128 x 128 blocks, the only form that engines load"};
constexpr Defect kCompressRatios = {
    "C03", Severity::kError, "a layer holds a compressor or indexer that compress_ratios denies",
    "Restore compress_ratios: 4 means compressor and indexer, 128 a compressor, 0 neither"};
constexpr Defect kRatioCount = {
    "C03", Severity::kWarning, "compress_ratios has not one entry per layer and MTP layer",
    "Restore the list: an engine that builds MTP layers reads an entry for each"};
constexpr Defect kNotFlat = {
    "C03", Severity::kError, "config.json describes the model otherwise than engines read it",
    "Export with Vernier's configuration patches, or write the field as the release has it"};
constexpr Defect kScaleFmt = {
    "C03", Severity::kError, "FP8 scales are E8M0, but scale_fmt does not say ue8m0",
    "Set quantization_config.scale_fmt to ue8m0: engines choose their kernels by it"};

constexpr Defect kHeadSizes = {
    "C03", Severity::kWarning, "vLLM has kernels for the released model's head sizes alone",
    "Serve with another engine; a model of other sizes is one for tests"};

constexpr std::string_view kUe8m0 = "ue8m0";
constexpr int64_t kFp8Block = 128;

class ProfileChecker {
 public:
  ProfileChecker(const Subject& subject, FindingList* findings)
      : subject_(subject), config_(subject.inline_config), findings_(findings) {}

  void Check() const {
    if (IsNative()) {
      CheckFields();
      CheckMoeAlgo();
    }
    for (const Module& module : subject_.index.modules) CheckModule(module);
  }

 private:
  // The fields and the FP8 of the release bind only a checkpoint that still has its formats.
  bool IsNative() const { return subject_.dialect == QuantDialect::kNative; }

  void Expect(std::string_view field, std::string_view actual, std::string_view expected) const {
    if (actual == expected) return;
    findings_->Add(kWrongField, std::string(field) + " (\"" + std::string(actual) + "\", not \"" +
                                    std::string(expected) + "\")");
  }

  // Without config.json's quantization_config there is nothing to compare; V13 says that.
  void CheckFields() const {
    if (!config_.present) return;
    if (config_.quant_method != "deepseek_v4_fp8") {
      Expect("quant_method", config_.quant_method, "fp8");
    }
    Expect("quant_algo", config_.quant_algo, kAlgoMixed);
    if (config_.group_size && *config_.group_size != quantizers::kNvfp4BlockSize) {
      findings_->Add(kWrongField,
                     "group_size (" + std::to_string(*config_.group_size) + ", not 16)");
    }
    if (config_.weight_block_size != std::vector<int64_t>{kFp8Block, kFp8Block}) {
      findings_->Add(kWrongField, "weight_block_size (not [128, 128])");
    }
    const Json& model = subject_.checkpoint.config();
    constexpr std::string_view kFp4 = "\"fp4\"";
    const std::string expert_dtype =
        model.contains("expert_dtype") ? model.at("expert_dtype").dump() : std::string(kFp4);
    if (expert_dtype != kFp4) {
      findings_->Add(kWrongField, "expert_dtype (" + expert_dtype + ", not \"fp4\")");
    }
  }

  void CheckMoeAlgo() const {
    const bool any_nvfp4 = std::any_of(
        subject_.index.modules.begin(), subject_.index.modules.end(), [](const Module& module) {
          return module.IsMainExpert() && module.format == formats::kNvfp4;
        });
    if (any_nvfp4 && config_.present) {
      Expect("moe_quant_algo", config_.moe_quant_algo, kAlgoNvfp4);
    }
  }

  void CheckModule(const Module& module) const {
    if (module.name.starts_with("model.")) findings_->Add(kForeignNames, module.name);
    const bool is_nvfp4 = module.format == formats::kNvfp4;
    if (is_nvfp4 && module.NativeScale() != kAbsent) {
      findings_->Add(kLeftoverScale, subject_.Info(module.NativeScale()).name);
    }
    if (IsNative() && module.format == formats::kMxfp4 &&
        subject_.Info(module.weight).dtype == DType::kU8) {
      findings_->Add(kMxfp4AsU8, module.name);
    }
    if (module.IsMainExpert() && !is_nvfp4 && config_.moe_quant_algo == kAlgoNvfp4) {
      findings_->Add(kExpertNotNvfp4, module.name);
    }
    CheckAttention(module);
  }

  void CheckAttention(const Module& module) const {
    const Role role = module.meaning.role;
    const bool is_nvfp4 = module.format == formats::kNvfp4;
    if (is_nvfp4 &&
        (role == Role::kAttention || role == Role::kIndexer || role == Role::kSharedExpert)) {
      findings_->Add(kAttentionNvfp4, module.name);
    }
    if (IsNative() && role == Role::kAttention && module.meaning.linear && !is_nvfp4 &&
        module.format != formats::kFp8Block) {
      findings_->Add(kAttentionNotFp8, module.name);
    }
  }

  const Subject& subject_;
  const QuantConfig& config_;
  FindingList* findings_;
};

struct LayerParts {
  bool compressor = false;
  bool indexer = false;
};

// What compress_ratios announces and the checkpoint lacks is among the required tensors.
void CheckRatios(const Subject& subject, FindingList* findings) {
  const checkpoint::DeepseekV4Config config =
      checkpoint::ParseDeepseekV4Config(subject.checkpoint.config());
  std::vector<LayerParts> layers(config.blocks.size());
  for (const Module& module : subject.index.modules) {
    const int layer = module.meaning.layer;
    if (module.IsMtp() || layer < 0 || layer >= static_cast<int>(layers.size())) continue;
    layers[layer].compressor |= module.name.find(".attn.compressor.") != std::string::npos;
    layers[layer].indexer |= module.name.find(".attn.indexer.") != std::string::npos;
  }
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    const checkpoint::DeepseekV4Block& block = config.blocks[layer];
    const bool denied = (layers[layer].compressor && !block.compresses()) ||
                        (layers[layer].indexer && !block.indexes());
    if (!denied) continue;
    findings->Add(kCompressRatios, "layer " + std::to_string(layer) + " (ratio " +
                                       std::to_string(block.compress_ratio) + ")");
  }
}

void CheckRatioCount(const Subject& subject, FindingList* findings) {
  const Json& config = subject.checkpoint.config();
  const auto ratios = config.find("compress_ratios");
  if (ratios == config.end()) return;
  std::set<int> mtp_layers;
  for (const Module& module : subject.index.modules) {
    if (module.IsMtp()) mtp_layers.insert(module.meaning.layer);
  }
  const int64_t layers = subject.family->Dims().layers + static_cast<int64_t>(mtp_layers.size());
  const auto held = static_cast<int64_t>(ratios->size());
  if (held == layers) return;
  findings->Add(kRatioCount, "compress_ratios (" + std::to_string(held) + " entries, " +
                                 std::to_string(layers) + " layers)");
}

// What an export would still change.
void CheckEngineForm(const Subject& subject, FindingList* findings) {
  Json config = subject.checkpoint.config();
  for (const checkpoint::ConfigPatch& patch : subject.family->PatchConfig(config)) {
    findings->Add(kNotFlat, patch.path + " (" + patch.reason + ")");
  }
}

void CheckScaleFmt(const Subject& subject, FindingList* findings) {
  const QuantConfig& config = subject.inline_config;
  if (subject.dialect != QuantDialect::kNative || !config.present || config.scale_fmt == kUe8m0) {
    return;
  }
  for (const Module& module : subject.index.modules) {
    if (module.format != formats::kFp8Block || module.AnyScale() == kAbsent) continue;
    if (subject.Info(module.AnyScale()).dtype != DType::kF8E8M0) continue;
    return findings->Add(kScaleFmt, module.name);
  }
}

// models/deepseek_v4/attention.py: "Unsupported head_dim for fused quant+cache".
void CheckHeadSizes(const Subject& subject, FindingList* findings) {
  constexpr int64_t kHeadDim = 512, kIndexHeadDim = 128;
  const checkpoint::DeepseekV4Config config =
      checkpoint::ParseDeepseekV4Config(subject.checkpoint.config());
  const auto expect = [&](const std::string& field, int64_t actual, int64_t wanted) {
    if (actual == wanted) return;
    findings->Add(kHeadSizes,
                  field + " (" + std::to_string(actual) + ", not " + std::to_string(wanted) + ")",
                  {Engine::kVllm});
  };
  expect("head_dim", config.head_dim, kHeadDim);
  const auto indexes = [](const checkpoint::DeepseekV4Block& block) { return block.indexes(); };
  if (!std::ranges::any_of(config.blocks, indexes)) return;
  expect("index_head_dim", config.index_head_dim, kIndexHeadDim);
}

}  // namespace

void CheckDeepseekV4(const Subject& subject, FindingList* findings) {
  if (!subject.IsDeepseekV4()) return;
  CheckHeadSizes(subject, findings);
  CheckRatios(subject, findings);
  CheckRatioCount(subject, findings);
  CheckScaleFmt(subject, findings);
  if (!subject.IsNvfp4()) return;
  CheckEngineForm(subject, findings);
  ProfileChecker(subject, findings).Check();
}

}  // namespace vernier::audit

// DeepSeek-V4: FP8 blocks everywhere but in the routed experts, whose format each engine finds out
// in its own way.
#include <algorithm>
#include <string>

#include "audit/engines/engine_reader.h"
#include "audit/engines/exclusion.h"
#include "base/text.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;

// What TensorRT-LLM and SGLang look at to learn the format of all routed experts.
constexpr std::string_view kProbe = "layers.0.ffn.experts.0.w1";

class DeepseekV4Reader final : public EngineReader {
 public:
  DeepseekV4Reader(Engine engine, EngineRelease vllm, const Subject& subject)
      : engine_(engine),
        vllm_(vllm),
        subject_(subject),
        config_(subject.inline_config),
        expert_format_(ExpertFormat()) {}

  std::string path() const override {
    const bool nvfp4 = expert_format_ == formats::kNvfp4;
    switch (engine_) {
      case Engine::kVllm:
        return "deepseek_v4_fp8";
      case Engine::kSglang:
        return nvfp4 ? "hybrid FP8 and NVFP4" : "fp8";
      case Engine::kTensorRtLlm:
        break;
    }
    return nvfp4 ? "FP8_BLOCK_SCALES with NVFP4 experts" : "FP8_BLOCK_SCALES";
  }

  std::string refusal() const override {
    const std::string dtype = ExpertDtype();
    const bool known = dtype == "fp4" || dtype == "fp8";
    if (engine_ == Engine::kVllm && !known) return "expert_dtype " + dtype + " is not known";
    return {};
  }

  Decision Decide(const RuntimeModule& module) const override {
    if (module.kind == ModuleKind::kExperts) return DecideExperts(module);
    const checkpoint::TensorMeaning& meaning = module.members.front()->meaning;
    if (module.kind == ModuleKind::kLmHead || !meaning.linear || meaning.keeps_precision) {
      return Decision::Unquantised("built without a quantisation method");
    }
    if (BuiltPlain(module.name))
      return Decision::Unquantised("built without a quantisation method");
    return Decision::Quantised(formats::kFp8Block, "quant_method fp8");
  }

 private:
  static bool BuiltPlain(std::string_view name) {
    return name.find(".compressor.") != std::string_view::npos ||
           name.ends_with(".indexer.weights_proj") || name.ends_with(".ffn.gate");
  }

  std::string ExpertDtype() const {
    const Json& config = subject_.checkpoint.config();
    const auto field = config.find("expert_dtype");
    if (field == config.end()) return "fp4";
    return field->is_string() ? field->get<std::string>() : field->dump();
  }

  bool AnnouncesNvfp4() const { return config_.moe_quant_algo == kAlgoNvfp4; }

  StoredFormat ExpertFormat() const {
    switch (engine_) {
      case Engine::kVllm:
        if (ExpertDtype() == "fp8") return formats::kFp8Block;
        return AnnouncesNvfp4() ? formats::kNvfp4 : formats::kMxfp4;
      case Engine::kSglang: {
        const bool hybrid =
            AnnouncesNvfp4() && config_.quant_algo == kAlgoMixed && config_.group_size.has_value();
        return hybrid ? formats::kNvfp4 : Probed();
      }
      case Engine::kTensorRtLlm:
        break;
    }
    return Probed();
  }

  StoredFormat Probed() const {
    const Module* probe = subject_.index.Find(kProbe);
    if (probe == nullptr || probe->weight == kAbsent) return formats::kFp8Block;
    const DType dtype = subject_.Info(probe->weight).dtype;
    if (dtype == DType::kF8E4M3) return formats::kFp8Block;
    // SGLang takes any nibbles for MXFP4 unless the configuration says otherwise.
    const bool nvfp4 = dtype == DType::kU8 && engine_ == Engine::kTensorRtLlm;
    return nvfp4 ? formats::kNvfp4 : formats::kMxfp4;
  }

  Decision DecideExperts(const RuntimeModule& module) const {
    if (engine_ == Engine::kVllm && Lists(module.name)) {
      return Decision::Unquantised("in ignored_layers");
    }
    if (expert_format_ == formats::kNvfp4 && engine_ == Engine::kVllm) {
      const std::string_view pattern = VllmExclusion(module.name);
      if (!pattern.empty()) {
        return Decision::Quantised(formats::kMxfp4, "excluded by \"" + std::string(pattern) + "\"");
      }
    }
    if (expert_format_ == formats::kNvfp4 && engine_ == Engine::kSglang) {
      const std::string reason = SglangExclusion(module);
      if (!reason.empty()) return Decision::Quantised(formats::kMxfp4, reason);
    }
    if (expert_format_ == formats::kNvfp4 && engine_ == Engine::kTensorRtLlm) {
      const Exclusion exclusion = FindExclusion(engine_, config_.exclusions, module);
      if (exclusion.excluded && !module.is_mtp) {
        return Decision::Unquantised("excluded by \"" + exclusion.pattern + "\"");
      }
    }
    return Decision::Quantised(expert_format_, Reason());
  }

  // Why SGLang builds the experts as they were released; empty when it does not. It tests its own
  // name of them, and adds the layers of its draft model to every list (models/deepseek_v4.py).
  std::string SglangExclusion(const RuntimeModule& module) const {
    if (module.is_mtp) return "of the draft model, which is never NVFP4";
    RuntimeModule renamed = module;
    renamed.name = "model." + module.name;
    constexpr std::string_view kReleased = ".ffn.", kSglang = ".mlp.";
    const size_t at = renamed.name.find(kReleased);
    if (at != std::string::npos) renamed.name.replace(at, kReleased.size(), kSglang);
    const Exclusion exclusion = FindExclusion(engine_, config_.exclusions, renamed);
    return exclusion.excluded ? "excluded by \"" + exclusion.pattern + "\"" : "";
  }

  // From 0.32 on: the first entry of `ignore` that matches the layer's experts by the name that
  // they have in the checkpoint, "layers.3.ffn.experts" or "mtp.0.ffn.experts"
  // (models/deepseek_v41/quant_config.py). Empty when there is none.
  std::string_view VllmExclusion(std::string_view experts) const {
    constexpr EngineRelease kReadsIgnore = {0, 32, 0};
    if (vllm_ < kReadsIgnore) return {};
    for (const NamePattern& pattern : config_.exclusions) {
      if (GlobMatch(pattern.text(), experts)) return pattern.text();
    }
    return {};
  }

  bool Lists(const std::string& name) const {
    return std::any_of(config_.unconverted.begin(), config_.unconverted.end(),
                       [&](const NamePattern& entry) { return entry.text() == name; });
  }

  std::string Reason() const {
    if (engine_ == Engine::kTensorRtLlm) {
      return "the dtype of " + std::string(kProbe) + ".weight";
    }
    if (engine_ == Engine::kVllm && ExpertDtype() == "fp8") return "expert_dtype fp8";
    if (!AnnouncesNvfp4()) return "moe_quant_algo is not NVFP4";
    if (expert_format_ == formats::kNvfp4) return "moe_quant_algo NVFP4";
    return "quant_algo and group_size do not announce the hybrid";
  }

  Engine engine_;
  EngineRelease vllm_;
  const Subject& subject_;
  const QuantConfig& config_;
  StoredFormat expert_format_;
};

}  // namespace

std::unique_ptr<EngineReader> MakeDeepseekV4Reader(Engine engine, EngineRelease vllm,
                                                   const Subject& subject) {
  return std::make_unique<DeepseekV4Reader>(engine, vllm, subject);
}

}  // namespace vernier::audit

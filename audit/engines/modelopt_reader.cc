// ModelOpt's configuration as each engine reads it.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/engines/engine_reader.h"
#include "audit/engines/exclusion.h"
#include "base/text.h"

namespace vernier::audit {
namespace {

std::string UpperCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string PathOf(Engine engine, const std::string& algo) {
  if (engine == Engine::kTensorRtLlm) return algo;
  const std::string upper = UpperCase(algo);
  if (upper == kAlgoMixed) return "modelopt_mixed";
  if (upper == "MXFP8") return "modelopt_mxfp8";
  if (upper.find("FP4") != std::string::npos) return "modelopt_fp4";
  return engine == Engine::kSglang ? "modelopt_fp8" : "modelopt";
}

constexpr std::array<std::string_view, 6> kVllmAlgos = {
    "FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "NVFP4", "W4A16_NVFP4", "MXFP8"};

// QuantAlgo of tensorrt_llm/quantization/mode.py, and the names that its reader of ModelOpt's
// configurations translates into it.
constexpr auto kTensorRtLlmAlgos = std::to_array<std::string_view>({
    "W8A16",
    "W4A16",
    "W4A16_AWQ",
    "W4A8_AWQ",
    "W8A16_GPTQ",
    "W4A16_GPTQ",
    "W8A8_SQ_PER_CHANNEL",
    "W8A8_SQ_PER_TENSOR_PLUGIN",
    "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN",
    "W8A8_SQ_PER_CHANNEL_PER_TENSOR_PLUGIN",
    "W8A8_SQ_PER_TENSOR_PER_TOKEN_PLUGIN",
    "W4A8_QSERVE_PER_GROUP",
    "W4A8_QSERVE_PER_CHANNEL",
    "FP8",
    "FP8_PER_CHANNEL_PER_TOKEN",
    "FP8_BLOCK_SCALES",
    "FP8_PB_WO",
    "NVFP4",
    "NVFP4_AWQ",
    "W4A16_NVFP4",
    "W4A8_NVFP4_FP8",
    "W4A8_MXFP4_FP8",
    "W4A8_MXFP4_MXFP8",
    "W4A16_MXFP4",
    "MXFP4",
    "MXFP8",
    "NO_QUANT",
});

// Algorithms that the engine's reader of one algorithm for all modules takes.
bool TakesAlgo(Engine engine, std::string_view algo) {
  constexpr std::array<std::string_view, 3> kSglangFp4 = {"NVFP4", "NVFP4_AWQ", "W4A16_NVFP4"};
  if (algo == kAlgoMixed) return true;
  if (engine == Engine::kVllm) return IsOneOf(algo, kVllmAlgos);
  if (engine == Engine::kSglang) {
    return IsOneOf(algo, kSglangFp4) || algo.find("FP8") != std::string_view::npos;
  }
  return IsOneOf(algo, kTensorRtLlmAlgos);
}

// Whether the engine builds a module of a mixed configuration in `algo`; it leaves others as they
// are.
bool TakesLayerAlgo(Engine engine, std::string_view algo) {
  constexpr std::array<std::string_view, 6> kSglang = {"FP8",   "FP8_PB_WO", "FP8_BLOCK_SCALES",
                                                       "MXFP8", "NVFP4",     "W4A16_NVFP4"};
  if (engine == Engine::kVllm) return IsOneOf(algo, kVllmAlgos) || algo == "FP8_BLOCK_SCALES";
  return engine == Engine::kTensorRtLlm || IsOneOf(algo, kSglang);
}

class ModeloptReader final : public EngineReader {
 public:
  ModeloptReader(Engine engine, const QuantConfig& config, bool is_flat)
      : engine_(engine), config_(config), is_flat_(is_flat), algo_(UpperCase(config.quant_algo)) {}

  std::string path() const override { return PathOf(engine_, config_.quant_algo); }

  std::string refusal() const override {
    if (config_.quant_algo.empty()) return "quant_algo is missing";
    if (!TakesAlgo(engine_, algo_)) return "quant_algo " + config_.quant_algo + " is not known";
    if (algo_ == kAlgoMixed && config_.quantized_layers.empty()) {
      return "quantized_layers is missing or empty";
    }
    const bool is_nvfp4 = algo_.find(kAlgoNvfp4) != std::string::npos;
    return is_nvfp4 ? MissingField() : std::string();
  }

  Decision Decide(const RuntimeModule& module) const override {
    const Exclusion exclusion = FindExclusion(engine_, config_.exclusions, module);
    if (!exclusion.error.empty()) return Decision::Fails(exclusion.error);
    if (exclusion.excluded) {
      return Decision::Unquantised("excluded by \"" + exclusion.pattern + "\"");
    }
    if (IsTower(module.name)) {
      if (engine_ == Engine::kVllm) return Decision::Unquantised("vLLM leaves vision towers alone");
      // Its towers are other classes than its decoders.
      if (engine_ == Engine::kTensorRtLlm) return Decision::Unknown();
    }
    const Decision decision =
        algo_ == kAlgoMixed ? DecideMixed(module) : Built(config_.quant_algo, "quant_algo");
    const std::string_view gap = GapOf(module, decision);
    return gap.empty() ? decision : Decision::Refuses(std::string(gap));
  }

 private:
  // Names that vLLM's modelopt.py takes for vision towers, whatever the configuration says.
  static bool IsTower(std::string_view name) {
    constexpr std::array<std::string_view, 3> kTowers = {"vision_tower", "vision_model",
                                                         "vit_large_projector"};
    return std::any_of(kTowers.begin(), kTowers.end(), [name](std::string_view tower) {
      return name.find(tower) != std::string_view::npos;
    });
  }

  // Why the engine has no code for FP8 scales of rows or blocks under ModelOpt's name of them;
  // empty where it has, or other scales are meant. Sources: vLLM's ModelOptFp8MoEMethod and
  // SGLang's ModelOptFp8LinearMethod and ModelOptFp8MoEMethod allocate a scale a weight whatever
  // the algorithm; TensorRT-LLM's fused_moe has no FP8 by rows, and takes blocks' scales of experts
  // by DeepSeek's name (fused_moe/quantization.py).
  std::string_view GapOf(const RuntimeModule& module, const Decision& decision) const {
    const bool by_rows = decision.format == formats::kFp8Channel;
    if (decision.kind != Decision::Kind::kQuantised) return {};
    if (!by_rows && decision.format != formats::kFp8Block) return {};
    if (module.members.front()->block_scale == kAbsent) return {};
    const bool experts = module.kind == ModuleKind::kExperts;
    switch (engine_) {
      case Engine::kVllm:
        return experts ? "its FP8 experts of ModelOpt have one scale a weight" : "";
      case Engine::kSglang:
        return algo_ == kAlgoMixed ? "" : "its FP8 of ModelOpt has one scale a weight";
      case Engine::kTensorRtLlm:
        break;
    }
    if (!experts) return {};
    return by_rows ? "it has no FP8 experts with a scale a row"
                   : "it reads block scales of experts as weight_scale_inv alone";
  }

  // Only the nested form must be complete; the flat one has defaults.
  std::string MissingField() const {
    if (is_flat_ || engine_ == Engine::kTensorRtLlm) return {};
    if (!config_.group_size) return "group_size is missing";
    if (engine_ == Engine::kSglang) return {};
    if (!config_.has_exclusions) return "exclude_modules is missing";
    return config_.has_kv_cache_quant_algo ? "" : "kv_cache_quant_algo is missing";
  }

  static Decision Built(const std::string& algo, std::string_view where) {
    const std::optional<StoredFormat> format = FormatOfAlgo(algo);
    if (!format) return Decision::Unknown();
    return Decision::Quantised(*format, std::string(where) + " " + algo);
  }

  Decision DecideMixed(const RuntimeModule& module) const {
    const std::vector<const LayerAlgo*> found =
        engine_ == Engine::kTensorRtLlm ? FindLikeTensorRtLlm(module) : FindLikeVllm(module);
    if (found.empty()) return Decision::Unquantised("not in quantized_layers");
    const bool alike = std::all_of(found.begin(), found.end(), [&](const LayerAlgo* each) {
      return each->algo == found.front()->algo;
    });
    if (!alike) return Decision::Fails("its members have different algorithms in quantized_layers");
    const std::string& algo = found.front()->algo;
    if (!TakesLayerAlgo(engine_, UpperCase(algo))) {
      return Decision::Unquantised("quantized_layers gives it " + algo + ", which is not read");
    }
    return Built(algo, "quantized_layers:");
  }

  void Look(const std::string& name, std::vector<const LayerAlgo*>* found) const {
    const auto entry = config_.quantized_layers.find(name);
    if (entry != config_.quantized_layers.end()) found->push_back(&entry->second);
  }

  void LookBelow(const std::string& prefix, std::vector<const LayerAlgo*>* found) const {
    const auto entry = config_.quantized_layers.lower_bound(prefix);
    if (entry != config_.quantized_layers.end() && entry->first.starts_with(prefix)) {
      found->push_back(&entry->second);
    }
  }

  // The exact name, then the members of a fused matrix, then any module within; in vLLM experts
  // also by any module beside them.
  std::vector<const LayerAlgo*> FindLikeVllm(const RuntimeModule& module) const {
    std::vector<const LayerAlgo*> found;
    Look(module.name, &found);
    if (found.empty() && module.kind == ModuleKind::kLmHead) Look("lm_head", &found);
    if (found.empty() && module.is_fused()) {
      for (const Module* member : module.members) Look(member->name, &found);
    }
    if (found.empty()) LookBelow(module.name + ".", &found);
    if (found.empty() && engine_ == Engine::kVllm && module.kind == ModuleKind::kExperts) {
      LookBelow(module.name.substr(0, module.name.rfind('.') + 1), &found);
    }
    return found;
  }

  // Experts by any entry that contains their module's name, a fused matrix by its first members, a
  // matrix of its own by its exact name.
  std::vector<const LayerAlgo*> FindLikeTensorRtLlm(const RuntimeModule& module) const {
    std::vector<const LayerAlgo*> found;
    if (module.kind != ModuleKind::kExperts) {
      Look(module.name, &found);
      if (found.empty() && module.is_fused()) Look(module.members.front()->name, &found);
      return found;
    }
    for (const auto& [name, algo] : config_.quantized_layers) {
      if (name.find(module.name) == std::string::npos) continue;
      found.push_back(&algo);
      break;
    }
    return found;
  }

  Engine engine_;
  const QuantConfig& config_;
  bool is_flat_;
  std::string algo_;  // in upper case
};

}  // namespace

std::unique_ptr<EngineReader> MakeModeloptReader(Engine engine, const QuantConfig& config,
                                                 bool is_flat) {
  return std::make_unique<ModeloptReader>(engine, config, is_flat);
}

}  // namespace vernier::audit

// compressed-tensors: groups of targets, and a list of what is left alone.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "audit/engines/engine_reader.h"

namespace vernier::audit {
namespace {

class CompressedTensorsReader final : public EngineReader {
 public:
  CompressedTensorsReader(Engine engine, const QuantConfig& config)
      : engine_(engine), config_(config) {}

  std::string path() const override { return std::string(kCompressedTensors); }

  std::string refusal() const override {
    if (config_.groups.empty()) return "config_groups is missing or empty";
    if (engine_ != Engine::kTensorRtLlm) return {};
    const auto unread = std::ranges::find_if_not(config_.groups, TensorRtLlmReads);
    if (unread == config_.groups.end()) return {};
    return fmt::format("{} is {}{}, which its reader of compressed-tensors does not know",
                       unread->name, FormatName(*unread->format),
                       unread->quantises_inputs ? "" : " without input_activations");
  }

  Decision Decide(const RuntimeModule& module) const override {
    const auto ignored = std::count_if(module.members.begin(), module.members.end(),
                                       [&](const Module* member) { return Ignores(member->name); });
    if (ignored == static_cast<ptrdiff_t>(module.members.size()) || Ignores(module.name)) {
      return Decision::Unquantised("in the ignore list");
    }
    if (ignored > 0 && module.is_fused()) {
      return Decision::Fails("only some of its members are in the ignore list");
    }
    const ConfigGroup* group = config_.CoveringGroup(module.members.front()->name);
    // "Linear" is the class of ordinary projections alone; whether a head counts differs by
    // version.
    if (module.kind == ModuleKind::kLmHead && NamesNone(module)) return Decision::Unknown();
    if (group == nullptr) return Decision::Unquantised("no group has it as a target");
    if (!group->format) return Decision::Unknown();
    const std::string_view gap = GapOf(module, *group);
    if (!gap.empty()) return Decision::Refuses(group->name + ": " + std::string(gap));
    return Decision::Quantised(*group->format, group->name);
  }

 private:
  // FP8 by rows and blocks, NVFP4 with inputs, and MXFP4 without (tensorrt_llm/quantization,
  // _quant_config_from_config_group).
  static bool TensorRtLlmReads(const ConfigGroup& group) {
    if (!group.format || !IsJudged(*group.format)) return true;  // nobody here knows
    const StoredFormat format = *group.format;
    if (format == formats::kNvfp4) return group.quantises_inputs;
    if (format == formats::kMxfp4) return !group.quantises_inputs;
    const bool by_rows_or_blocks = format == formats::kFp8Channel || format == formats::kFp8Block;
    return by_rows_or_blocks && group.quantises_inputs;
  }

  // Why the engine has no code for experts in the group's FP8; empty where it has. Sources: vLLM's
  // compressed_tensors_moe_w8a8_fp8.py and SGLang's take weight scales by tensor with inputs by
  // tensor, by row with inputs by token, or by block; TensorRT-LLM's fused_moe has no FP8 by rows,
  // and takes blocks' scales of experts by DeepSeek's name.
  std::string_view GapOf(const RuntimeModule& module, const ConfigGroup& group) const {
    const StoredFormat format = *group.format;
    const bool by_rows = format == formats::kFp8Channel, by_blocks = format == formats::kFp8Block;
    if (module.kind != ModuleKind::kExperts) return {};
    if (engine_ == Engine::kTensorRtLlm) {
      if (by_rows) return "it has no FP8 experts with a scale a row";
      const bool renamed = module.members.front()->block_scale == kAbsent;
      return by_blocks && !renamed ? "it reads block scales of experts as weight_scale_inv alone"
                                   : "";
    }
    const bool by_tensor = format == formats::kFp8Tensor;
    return by_tensor && group.quantises_inputs && group.input_strategy != "tensor"
               ? "its experts with one FP8 scale need one for their inputs too"
               : "";
  }

  bool NamesNone(const RuntimeModule& module) const {
    return config_.GroupsNaming(module.members.front()->name).empty();
  }

  // TensorRT-LLM reads the list like ModelOpt's, where expressions must match the whole name.
  bool Ignores(const std::string& name) const {
    if (engine_ != Engine::kTensorRtLlm) return config_.Ignores(name);
    return std::any_of(config_.exclusions.begin(), config_.exclusions.end(),
                       [&](const NamePattern& entry) {
                         return entry.is_regex() ? entry.MatchesWhole(name) : entry.text() == name;
                       });
  }

  Engine engine_;
  const QuantConfig& config_;
};

}  // namespace

std::unique_ptr<EngineReader> MakeCompressedTensorsReader(Engine engine,
                                                          const QuantConfig& config) {
  return std::make_unique<CompressedTensorsReader>(engine, config);
}

}  // namespace vernier::audit

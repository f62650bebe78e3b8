// compressed-tensors: groups of targets, and a list of what is left alone.
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
    return config_.groups.empty() ? "config_groups is missing or empty" : "";
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
    return Decision::Quantised(*group->format, group->name);
  }

 private:
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

// quant_method "fp8": block FP8 as DeepSeek-V3 is released in, or one scale per weight.
#include <algorithm>
#include <string>

#include "audit/engines/engine_reader.h"

namespace vernier::audit {
namespace {

class Fp8Reader final : public EngineReader {
 public:
  explicit Fp8Reader(const QuantConfig& config) : config_(config) {}

  std::string path() const override { return "fp8"; }

  // Heads are no linear layers there; the list holds exact names.
  Decision Decide(const RuntimeModule& module) const override {
    if (module.kind == ModuleKind::kLmHead) return Decision::Unquantised("a head");
    const auto listed = std::count_if(module.members.begin(), module.members.end(),
                                      [&](const Module* member) { return Lists(member->name); });
    if (Lists(module.name) || listed == static_cast<ptrdiff_t>(module.members.size())) {
      return Decision::Unquantised("in ignored_layers");
    }
    if (listed > 0 && module.is_fused()) {
      return Decision::Fails("only some of its members are in ignored_layers");
    }
    const bool in_blocks = !config_.weight_block_size.empty();
    return Decision::Quantised(in_blocks ? formats::kFp8Block : formats::kFp8Tensor,
                               "quant_method fp8");
  }

 private:
  bool Lists(const std::string& name) const {
    return std::any_of(config_.unconverted.begin(), config_.unconverted.end(),
                       [&](const NamePattern& entry) { return entry.text() == name; });
  }

  const QuantConfig& config_;
};

}  // namespace

std::unique_ptr<EngineReader> MakeFp8Reader(const QuantConfig& config) {
  return std::make_unique<Fp8Reader>(config);
}

}  // namespace vernier::audit

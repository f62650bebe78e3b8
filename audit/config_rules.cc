#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "audit/exclusion.h"
#include "audit/rules.h"
#include "base/text.h"
#include "quantizers/nvfp4.h"

namespace vernier::audit {
namespace {

using checkpoint::Role;

constexpr Defect kTotalSize = {"V13", Severity::kError,
                               "the index's metadata.total_size is not the sum of the tensors",
                               "Write the index again with the right total"};
constexpr Defect kConfigMissing = {"V13", Severity::kError,
                                   "a quantisation configuration is missing",
                                   "Write both config.json's quantization_config and "
                                   "hf_quant_config.json; engines read one or the other"};
constexpr Defect kConfigsDiffer = {"V13", Severity::kError,
                                   "config.json and hf_quant_config.json contradict each other",
                                   "Write both from the same values"};
constexpr Defect kFieldMissing = {"V13", Severity::kError,
                                  "a field that engines demand is missing or of another type",
                                  "Add the field to the quantisation configuration"};
constexpr Defect kExcludedButNvfp4 = {
    "V05", Severity::kError, "an NVFP4 module matches an exclusion pattern",
    "Narrow the pattern: these engines would load the module as not quantised"};
constexpr Defect kUnlistedButNvfp4 = {
    "V05", Severity::kError, "an NVFP4 module is not covered by the configuration",
    "List the module in quantized_layers with quant_algo NVFP4 and group_size 16"};
constexpr Defect kListedButNot = {"V05", Severity::kError,
                                  "a module that the configuration calls NVFP4 is stored otherwise",
                                  "Quantise the module, or take it out of the configuration"};
constexpr Defect kUnknownLayer = {"V05", Severity::kError,
                                  "quantized_layers names a module that does not exist",
                                  "Use the module names of the checkpoint"};

void CheckTotalSize(const Subject& subject, FindingList* findings) {
  const std::filesystem::path path = subject.checkpoint.directory() / checkpoint::kIndexFileName;
  if (!std::filesystem::exists(path)) return;
  const Json index = ReadJsonFile(path);
  const Json::json_pointer pointer("/metadata/total_size");
  const uint64_t actual = subject.checkpoint.TensorBytes();
  const std::string expected = ", not " + std::to_string(actual) + ")";
  if (!index.contains(pointer) || !index.at(pointer).is_number()) {
    findings->Add(kTotalSize, "total_size (absent" + expected);
    return;
  }
  if (index.at(pointer) != actual) {
    findings->Add(kTotalSize, "total_size (" + index.at(pointer).dump() + expected);
  }
}

void CheckRequiredFields(const QuantConfig& config, std::string_view file,
                         std::string_view exclusions, FindingList* findings) {
  if (!config.present) {
    findings->Add(kConfigMissing, file);
    return;
  }
  const std::string prefix = std::string(file) + ": ";
  if (config.quant_algo.empty()) findings->Add(kFieldMissing, prefix + "quant_algo");
  if (!config.group_size) findings->Add(kFieldMissing, prefix + "group_size");
  if (!config.has_exclusions) findings->Add(kFieldMissing, prefix + std::string(exclusions));
}

void CheckAgreement(const Subject& subject, FindingList* findings) {
  const QuantConfig& inline_config = subject.inline_config;
  const QuantConfig& file_config = subject.file_config;
  CheckRequiredFields(inline_config, "config.json", "ignore", findings);
  CheckRequiredFields(file_config, kQuantConfigFileName, "exclude_modules", findings);
  if (!inline_config.present || !file_config.present) return;
  for (const std::string& field : DifferingFields(inline_config, file_config)) {
    findings->Add(kConfigsDiffer, field);
  }
}

// Modules of which the configuration must say the truth: those an engine builds as linear layers.
bool IsConfigurable(const Module& module) {
  if (module.weight == kAbsent || module.meaning.role == Role::kEmbedding) return false;
  return module.meaning.linear || module.format == StoredFormat::kNvfp4;
}

// What the configuration makes of the modules, engine by engine.
class ModuleVerdicts {
 public:
  explicit ModuleVerdicts(const QuantConfig& config) : config_(config) {}

  bool Covers(const Module& module) const {
    if (config_.quantized_layers.empty()) return config_.quant_algo == kAlgoNvfp4;
    const LayerAlgo* algo = config_.Covering(module.name);
    return algo != nullptr && algo->algo == kAlgoNvfp4 &&
           algo->group_size.value_or(0) == quantizers::kNvfp4BlockSize;
  }

  // Engines test routed experts by the module that holds them all.
  std::vector<std::string> EnginesExcluding(const Module& module) {
    const std::string_view container = ExpertContainer(module.name);
    const std::string name = container.empty() ? module.name : std::string(container);
    const auto known = excluding_.find(name);
    if (known != excluding_.end()) return known->second;
    return excluding_[name] = audit::EnginesExcluding(config_.exclusions, name);
  }

 private:
  const QuantConfig& config_;
  std::map<std::string, std::vector<std::string>> excluding_;
};

void CheckModule(const Module& module, ModuleVerdicts* verdicts, FindingList* findings) {
  const bool is_nvfp4 = module.format == StoredFormat::kNvfp4;
  const bool covered = verdicts->Covers(module);
  const std::vector<std::string> excluding = verdicts->EnginesExcluding(module);
  if (is_nvfp4 && !covered) findings->Add(kUnlistedButNvfp4, module.name);
  if (is_nvfp4 && covered && !excluding.empty()) {
    findings->Add(kExcludedButNvfp4, module.name + " (" + JoinNames(excluding) + ")");
  }
  if (!is_nvfp4 && covered && excluding.size() < kEngineCount) {
    findings->Add(kListedButNot, module.name);
  }
}

void CheckUnknownLayers(const Subject& subject, FindingList* findings) {
  std::set<std::string_view> known;
  for (const Module& module : subject.index.modules) {
    for (std::string_view name = module.name; !name.empty();) {
      if (!known.insert(name).second) break;
      const size_t dot = name.rfind('.');
      name = dot == std::string_view::npos ? std::string_view() : name.substr(0, dot);
    }
  }
  for (const auto& [name, algo] : subject.Config().quantized_layers) {
    if (!known.contains(name)) findings->Add(kUnknownLayer, name);
  }
}

}  // namespace

void CheckConfigs(const Subject& subject, FindingList* findings) {
  CheckTotalSize(subject, findings);
  if (!subject.IsNvfp4()) return;
  CheckAgreement(subject, findings);
  if (!subject.Config().present) return;
  ModuleVerdicts verdicts(subject.Config());
  for (const Module& module : subject.index.modules) {
    if (IsConfigurable(module)) CheckModule(module, &verdicts, findings);
  }
  CheckUnknownLayers(subject, findings);
}

}  // namespace vernier::audit

#include <filesystem>
#include <map>
#include <optional>
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
constexpr Defect kExcludedButQuantised = {
    "V05", Severity::kError, "a quantised module matches an exclusion pattern",
    "Narrow the pattern: these engines would load the module as not quantised"};
constexpr Defect kUnlistedButQuantised = {
    "V05", Severity::kError, "the configuration does not give a quantised module its format",
    "List the module with its algorithm and group size in the quantisation configuration"};
constexpr Defect kListedButNot = {"V05", Severity::kError,
                                  "a module that the configuration calls quantised is not",
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

// Formats whose blocks have a size that engines look up; a release's own configuration, extended,
// holds NVFP4 beside its blocks.
bool NeedsGroupSize(const Subject& subject, const QuantConfig& config) {
  if (config.quant_algo == kAlgoMixed) return subject.dialect == QuantDialect::kNative;
  const std::optional<StoredFormat> format = FormatOfAlgo(config.quant_algo);
  return format == StoredFormat::kNvfp4 || format == StoredFormat::kMxfp4 ||
         format == StoredFormat::kMxfp8;
}

void CheckRequiredFields(const Subject& subject, const QuantConfig& config, std::string_view file,
                         std::string_view exclusions, FindingList* findings) {
  if (!config.present) {
    findings->Add(kConfigMissing, file);
    return;
  }
  const std::string prefix = std::string(file) + ": ";
  if (config.quant_algo.empty()) findings->Add(kFieldMissing, prefix + "quant_algo");
  if (!config.group_size && NeedsGroupSize(subject, config)) {
    findings->Add(kFieldMissing, prefix + "group_size");
  }
  if (!config.has_exclusions) findings->Add(kFieldMissing, prefix + std::string(exclusions));
}

void CheckAgreement(const Subject& subject, FindingList* findings) {
  const QuantConfig& inline_config = subject.inline_config;
  const QuantConfig& file_config = subject.file_config;
  if (subject.dialect == QuantDialect::kCompressedTensors) {
    if (inline_config.groups.empty()) findings->Add(kFieldMissing, "config.json: config_groups");
    if (!inline_config.has_exclusions) findings->Add(kFieldMissing, "config.json: ignore");
    return;
  }
  CheckRequiredFields(subject, inline_config, "config.json", "ignore", findings);
  CheckRequiredFields(subject, file_config, kQuantConfigFileName, "exclude_modules", findings);
  if (!inline_config.present || !file_config.present) return;
  for (const std::string& field : DifferingFields(inline_config, file_config)) {
    findings->Add(kConfigsDiffer, field);
  }
}

// What the configuration makes of the modules, engine by engine.
class ModuleVerdicts {
 public:
  explicit ModuleVerdicts(const Subject& subject)
      : config_(subject.Config()), native_(subject.dialect == QuantDialect::kNative) {}

  // Whether the configuration must speak of such a format: a release's own knows its formats
  // without naming modules.
  bool MustCover(StoredFormat format) const {
    return format == StoredFormat::kNvfp4 || (!native_ && IsQuantised(format));
  }

  // Modules of which the configuration must say the truth: those an engine builds as linear layers.
  bool IsConfigurable(const Module& module) const {
    if (module.weight == kAbsent || module.meaning.role == Role::kEmbedding) return false;
    return module.meaning.linear || MustCover(module.format);
  }

  // Whether a scheme that is not known covers the module: nothing can be said about it.
  bool IsUnknown(const Module& module) const {
    if (config_.IsCompressedTensors()) {
      const ConfigGroup* group = config_.CoveringGroup(module.name);
      return group != nullptr && !group->format;
    }
    const std::string algo = AlgoOf(module);
    return !native_ && !algo.empty() && algo != kAlgoMixed && !FormatOfAlgo(algo);
  }

  // The format that the configuration gives the module before exclusions; nothing: none.
  std::optional<StoredFormat> Format(const Module& module) const {
    if (config_.IsCompressedTensors()) {
      const ConfigGroup* group = config_.CoveringGroup(module.name);
      return group == nullptr ? std::nullopt : group->format;
    }
    const std::optional<StoredFormat> format = FormatOfAlgo(AlgoOf(module));
    const LayerAlgo* layer = config_.Covering(module.name);
    const bool wrong_group = format == StoredFormat::kNvfp4 && layer != nullptr &&
                             layer->group_size.value_or(0) != quantizers::kNvfp4BlockSize;
    return wrong_group ? std::nullopt : format;
  }

  bool ExcludedByAll(const Module& module) {
    return EnginesExcluding(module).size() == EngineNames().size();
  }

  // Engines test routed experts by the module that holds them all.
  std::vector<std::string> EnginesExcluding(const Module& module) {
    if (config_.IsCompressedTensors()) {
      return config_.Ignores(module.name) ? EngineNames() : std::vector<std::string>();
    }
    const std::string_view container = ExpertContainer(module.name);
    const std::string name = container.empty() ? module.name : std::string(container);
    const auto known = excluding_.find(name);
    if (known != excluding_.end()) return known->second;
    return excluding_[name] = audit::EnginesExcluding(config_.exclusions, name);
  }

 private:
  std::string AlgoOf(const Module& module) const {
    if (config_.quantized_layers.empty()) return config_.quant_algo;
    const LayerAlgo* layer = config_.Covering(module.name);
    return layer == nullptr ? std::string() : layer->algo;
  }

  const QuantConfig& config_;
  bool native_;
  std::map<std::string, std::vector<std::string>> excluding_;
};

void CheckModule(const Module& module, ModuleVerdicts* verdicts, FindingList* findings) {
  if (verdicts->IsUnknown(module)) return;
  const std::optional<StoredFormat> format = verdicts->Format(module);
  if (!verdicts->MustCover(module.format)) {
    if (format && !verdicts->ExcludedByAll(module)) findings->Add(kListedButNot, module.name);
    return;
  }
  if (format != module.format) return findings->Add(kUnlistedButQuantised, module.name);
  const std::vector<std::string> excluding = verdicts->EnginesExcluding(module);
  if (excluding.empty()) return;
  findings->Add(kExcludedButQuantised, module.name + " (" + JoinNames(excluding) + ")");
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
  if (!subject.IsNvfp4() && subject.dialect == QuantDialect::kNative) return;
  CheckAgreement(subject, findings);
  if (!subject.Config().present) return;
  ModuleVerdicts verdicts(subject);
  for (const Module& module : subject.index.modules) {
    if (verdicts.IsConfigurable(module)) CheckModule(module, &verdicts, findings);
  }
  CheckUnknownLayers(subject, findings);
}

}  // namespace vernier::audit

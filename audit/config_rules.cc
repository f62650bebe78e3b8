#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "audit/rules.h"
#include "checkpoint/formats/codec.h"
#include "quantizers/nvfp4.h"

namespace vernier::audit {
namespace {

constexpr Defect kTotalSize = {"V13", Severity::kError,
                               "the index's metadata.total_size is not the sum of the tensors",
                               "Write the index again with the right total"};
constexpr Defect kNoConfig = {"V13", Severity::kError,
                              "weights are quantised, but no configuration says so",
                              "Write config.json's quantization_config and hf_quant_config.json"};
constexpr Defect kOnlyInFile = {
    "V13", Severity::kInfo, "the quantisation configuration is not in config.json",
    "Nothing for engines, which then read hf_quant_config.json; transformers does not"};
constexpr Defect kOnlyInConfig = {
    "V13", Severity::kWarning, "there is no hf_quant_config.json",
    "Write it from the same values: older TensorRT-LLM reads nothing else"};
constexpr Defect kConfigsDiffer = {"V13", Severity::kError,
                                   "config.json and hf_quant_config.json contradict each other",
                                   "Write both from the same values"};
constexpr Defect kProducersDiffer = {
    "V13", Severity::kInfo,
    "config.json and hf_quant_config.json name different tools, or one names none",
    "Nothing for engines, which decide by other fields"};
constexpr Defect kFieldMissing = {"V13", Severity::kError,
                                  "a field that engines demand is missing or of another type",
                                  "Add the field to the quantisation configuration"};
constexpr Defect kGroupSize = {"V13", Severity::kError,
                               "the configuration gives NVFP4 another group size than 16",
                               "Set group_size to 16, the only size that NVFP4 has"};
constexpr Defect kUnlistedButQuantised = {
    "V05", Severity::kError, "quantized_layers does not give a quantised module its format",
    "List the module with its algorithm and group size"};
constexpr Defect kListedButNot = {"V05", Severity::kWarning,
                                  "a module that quantized_layers names is not quantised",
                                  "Quantise the module, or take it out of the list"};
constexpr Defect kUnknownLayer = {"V05", Severity::kError,
                                  "quantized_layers names a module that does not exist",
                                  "Use the module names of the checkpoint"};

constexpr Defect kNotStored = {
    "V13", Severity::kError, "the configuration announces a format that no weight is stored in",
    "Write the configuration that belongs to these weights: engines take them for quantised"};

void CheckTotalSize(const Subject& subject, FindingList* findings) {
  const std::filesystem::path path = subject.checkpoint.directory() / checkpoint::kIndexFileName;
  if (!std::filesystem::exists(path)) return;
  const std::optional<uint64_t>& stated = subject.checkpoint.index_total_size();
  const uint64_t actual = subject.checkpoint.TensorBytes();
  if (stated == actual) return;
  findings->Add(kTotalSize, "total_size (" + (stated ? std::to_string(*stated) : "absent") +
                                ", not " + std::to_string(actual) + ")");
}

// What a release's own configuration, extended for NVFP4, must say besides.
void CheckExtension(const QuantConfig& config, std::string_view file, std::string_view exclusions,
                    FindingList* findings) {
  if (!config.present) return;
  const std::string prefix = std::string(file) + ": ";
  if (config.quant_algo.empty()) findings->Add(kFieldMissing, prefix + "quant_algo");
  if (!config.group_size) findings->Add(kFieldMissing, prefix + "group_size");
  if (!config.has_exclusions) findings->Add(kFieldMissing, prefix + std::string(exclusions));
}

void CheckPresence(const Subject& subject, FindingList* findings) {
  const bool in_config = subject.inline_config.present;
  const bool in_file = subject.file_config.present;
  if (!in_config && !in_file) {
    findings->Add(kNoConfig, "quantization_config");
  } else if (!in_config) {
    findings->Add(kOnlyInFile, kQuantConfigFileName);
  } else if (!in_file) {
    findings->Add(kOnlyInConfig, "config.json");
  }
}

void CheckAgreement(const Subject& subject, FindingList* findings) {
  if (!subject.inline_config.present || !subject.file_config.present) return;
  for (const std::string& field : DifferingFields(subject.inline_config, subject.file_config)) {
    findings->Add(field == kProducerField ? kProducersDiffer : kConfigsDiffer, field);
  }
}

void CheckGroupSizes(const QuantConfig& config, FindingList* findings) {
  const auto check = [&](std::string_view where, std::string_view algo,
                         const std::optional<int64_t>& size) {
    if (FormatOfAlgo(algo) != formats::kNvfp4 || !size) return;
    if (*size == quantizers::kNvfp4BlockSize) return;
    findings->Add(kGroupSize, std::string(where) + " (" + std::to_string(*size) + ")");
  };
  check("group_size", config.quant_algo, config.group_size);
  for (const auto& [name, layer] : config.quantized_layers) {
    check(name, layer.algo, layer.group_size);
  }
}

// In a release's own configuration, extended, quantized_layers lists what became NVFP4. Engines
// have other ways to know, and tools that convert between them have not.
void CheckListedLayers(const Subject& subject, FindingList* findings) {
  const QuantConfig& config = subject.Config();
  if (subject.dialect != QuantDialect::kNative || config.quantized_layers.empty()) return;
  for (const Module& module : subject.index.modules) {
    if (module.weight == kAbsent) continue;
    const LayerAlgo* layer = config.Covering(module.name);
    const bool listed = layer != nullptr && FormatOfAlgo(layer->algo) == formats::kNvfp4;
    const bool is_nvfp4 = module.format == formats::kNvfp4;
    if (is_nvfp4 && !listed) findings->Add(kUnlistedButQuantised, module.name);
    if (!is_nvfp4 && listed && module.meaning.linear) findings->Add(kListedButNot, module.name);
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

using checkpoint::FormatKind;

// The formats that a configuration promises, with the words in which it does.
std::map<FormatKind, std::string> Announced(const QuantConfig& config) {
  std::map<FormatKind, std::string> announced;
  const auto add = [&](std::optional<StoredFormat> format, const std::string& words) {
    if (format) announced.emplace((*format)->kind, words);
  };
  const auto add_algo = [&](const std::string& algo, const std::string& field) {
    add(FormatOfAlgo(algo), field + " " + algo);
  };
  if (config.IsFp8()) add(formats::kFp8Block, "quant_method " + config.quant_method);
  add_algo(config.quant_algo, "quant_algo");
  add_algo(config.moe_quant_algo, "moe_quant_algo");
  for (const auto& [name, layer] : config.quantized_layers) {
    add_algo(layer.algo, "quantized_layers: " + name);
  }
  for (const ConfigGroup& group : config.groups) add(group.format, group.name);
  return announced;
}

// Whatever the model: somebody meant to quantise it and did not, or took the wrong configuration.
void CheckAnnounced(const Subject& subject, FindingList* findings) {
  std::set<FormatKind> stored;
  for (const Module& module : subject.index.modules) stored.insert(module.format->kind);
  // One that nobody knows may be what is meant.
  if (stored.contains(FormatKind::kOther)) return;
  for (const auto& [format, words] : Announced(subject.Config())) {
    if (!stored.contains(format)) findings->Add(kNotStored, words);
  }
}

}  // namespace

void CheckConfigs(const Subject& subject, FindingList* findings) {
  CheckTotalSize(subject, findings);
  if (!subject.Config().IsJudged()) return;
  CheckAnnounced(subject, findings);
  const bool native = subject.dialect == QuantDialect::kNative;
  if (native && !subject.IsNvfp4()) return;
  if (native) {
    CheckExtension(subject.inline_config, "config.json", "ignore", findings);
    CheckExtension(subject.file_config, kQuantConfigFileName, "exclude_modules", findings);
  }
  if (subject.dialect != QuantDialect::kCompressedTensors) {
    CheckPresence(subject, findings);
    CheckAgreement(subject, findings);
  }
  CheckGroupSizes(subject.Config(), findings);
  CheckListedLayers(subject, findings);
  CheckUnknownLayers(subject, findings);
}

}  // namespace vernier::audit

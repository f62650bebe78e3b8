// The two places where a checkpoint says how it is quantised.
#ifndef VERNIER_AUDIT_QUANT_CONFIG_H_
#define VERNIER_AUDIT_QUANT_CONFIG_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/name_pattern.h"
#include "base/json.h"
#include "checkpoint/logical_weight.h"

namespace vernier::audit {

inline constexpr std::string_view kQuantConfigFileName = "hf_quant_config.json";
inline constexpr std::string_view kProducerField = "producer";
inline constexpr std::string_view kAlgoNvfp4 = "NVFP4";
inline constexpr std::string_view kAlgoWeightOnlyNvfp4 = "W4A16_NVFP4";
inline constexpr std::string_view kAlgoFp8 = "FP8";
inline constexpr std::string_view kAlgoMixed = "MIXED_PRECISION";
inline constexpr std::string_view kModelopt = "modelopt";
inline constexpr std::string_view kCompressedTensors = "compressed-tensors";

// The format that a quant_algo stands for; nothing for one that is not known.
std::optional<checkpoint::Format> FormatOfAlgo(std::string_view algo);

// One of compressed-tensors' config_groups.
struct ConfigGroup {
  std::string name;  // "group_0"
  std::vector<NamePattern> targets;
  std::optional<checkpoint::Format> format;  // nothing: not known
  bool quantises_inputs = false;
  std::string input_strategy;  // what of the inputs shares a scale: "tensor", "token"
};

struct LayerAlgo {
  std::string algo;
  std::optional<int64_t> group_size;

  bool operator==(const LayerAlgo&) const = default;
};

// What both dialects have in common. Fields that are absent or of another type stay empty.
struct QuantConfig {
  bool present = false;
  std::string quant_algo;
  bool has_kv_cache_quant_algo = false;  // the field is there, perhaps null
  // Of kv_cache_scheme, where there is no kv_cache_quant_algo: FP8 for floats of 8 bits, or the
  // name that it is.
  std::string kv_cache_quant_algo;
  std::string producer;
  std::optional<int64_t> group_size;
  bool has_exclusions = false;
  std::vector<NamePattern> exclusions;  // `ignore` or `exclude_modules`, sorted
  std::map<std::string, LayerAlgo> quantized_layers;

  // What only config.json says.
  std::string pointer;  // where it stands there: "/text_config/quantization_config"
  std::string quant_method;
  std::string moe_quant_algo;
  std::string scale_fmt;
  std::vector<int64_t> weight_block_size;
  std::vector<NamePattern> unconverted;  // what quant_method "fp8" leaves out, by exact name:
                                         // ignored_layers, else modules_to_not_convert
  std::vector<ConfigGroup> groups;       // of compressed-tensors

  bool IsCompressedTensors() const { return quant_method == kCompressedTensors; }
  // quant_method "fp8", of any model.
  bool IsFp8() const { return quant_method == "fp8" || quant_method == "deepseek_v4_fp8"; }
  bool IsModelopt() const { return quant_method.starts_with(kModelopt); }
  // The rules and the simulation know what such a configuration says.
  bool IsJudged() const {
    return quant_method.empty() || IsCompressedTensors() || IsFp8() || IsModelopt();
  }
  bool MentionsNvfp4() const;
  // Whether the inputs of `module` stay as they are, so that it needs no input scale.
  bool WeightOnly(std::string_view module) const;
  // The group that covers `module`, by its name, by a "re:" pattern, or as any linear layer. Null
  // when there is none.
  const ConfigGroup* CoveringGroup(std::string_view module) const;
  // All groups of which a target names `module`, in order of their names.
  std::vector<const ConfigGroup*> GroupsNaming(std::string_view module) const;
  // Whether compressed-tensors' ignore list names `module`.
  bool Ignores(std::string_view module) const;
  // The entry that covers `module`: its own, or that of a module around it. Null when there is
  // none.
  const LayerAlgo* Covering(std::string_view module) const;
};

// The quantisation config of config.json, wherever it stands (checkpoint/config_facts.h): the flat
// dialect.
QuantConfig ReadInlineQuantConfig(const Json& config);

// hf_quant_config.json: the nested dialect. kBadJson when the file is no JSON.
QuantConfig ReadQuantConfigFile(const std::filesystem::path& directory);

// Names of the common fields in which two present configurations differ.
std::vector<std::string> DifferingFields(const QuantConfig& a, const QuantConfig& b);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_QUANT_CONFIG_H_

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

#include "base/json.h"

namespace vernier::audit {

inline constexpr std::string_view kQuantConfigFileName = "hf_quant_config.json";
inline constexpr std::string_view kAlgoNvfp4 = "NVFP4";
inline constexpr std::string_view kAlgoMixed = "MIXED_PRECISION";

struct LayerAlgo {
  std::string algo;
  std::optional<int64_t> group_size;

  bool operator==(const LayerAlgo&) const = default;
};

// What both dialects have in common. Fields that are absent or of another type stay empty.
struct QuantConfig {
  bool present = false;
  std::string quant_algo;
  std::string kv_cache_quant_algo;
  std::string producer;
  std::optional<int64_t> group_size;
  bool has_exclusions = false;
  std::vector<std::string> exclusions;  // `ignore` or `exclude_modules`, sorted
  std::map<std::string, LayerAlgo> quantized_layers;

  // What only config.json says.
  std::string quant_method;
  std::string moe_quant_algo;
  std::string scale_fmt;
  std::vector<int64_t> weight_block_size;

  bool MentionsNvfp4() const;
  // The entry that covers `module`: its own, or that of a module around it. Null when there is
  // none.
  const LayerAlgo* Covering(std::string_view module) const;
};

// `quantization_config` of config.json: the flat dialect.
QuantConfig ReadInlineQuantConfig(const Json& config);

// hf_quant_config.json: the nested dialect. kBadJson when the file is no JSON.
QuantConfig ReadQuantConfigFile(const std::filesystem::path& directory);

// Names of the common fields in which two present configurations differ.
std::vector<std::string> DifferingFields(const QuantConfig& a, const QuantConfig& b);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_QUANT_CONFIG_H_

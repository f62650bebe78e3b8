// How a toolkit names and stores what is quantised, and tells engines of it.
//
// One file for each dialect, and one row in table.cc.
#ifndef VERNIER_DIALECTS_DIALECT_H_
#define VERNIER_DIALECTS_DIALECT_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "checkpoint/containers/registry.h"
#include "checkpoint/families/family.h"
#include "checkpoint/kv_cache_format.h"
#include "checkpoint/source_model.h"
#include "dialects/module_formats.h"

namespace vernier::dialects {

// Suffixes of a module's name.
struct PartNames {
  std::string_view codes;         // elements of the codes are single values
  std::string_view packed_codes;  // several share one
  std::string_view scale;
  std::string_view global_scale;
  std::string_view input_scale;         // of formats without a global scale
  std::string_view input_global_scale;  // of those that have one
  std::string_view shape;               // N and K
};

// How scales of the key/value cache are called: A.k_proj.k_scale or A.k_scale, of an attention A.
struct KvScales {
  bool beside_projections = false;
  // Absent ones are 1 to engines.
  bool absent_is_one = false;
  // Engines read an NVFP4 cache from its configurations.
  bool nvfp4 = false;
};

// What a configuration is written from.
struct ConfigRequest {
  const checkpoint::SourceModel& source;
  const Json& config;  // config.json, with what the family changes in it
  const ModuleFormats& formats;
  std::vector<std::string> dequantised;  // modules that were quantised and are not any more
  checkpoint::KvCacheFormat kv_cache = checkpoint::KvCacheFormat::kModel;  // to announce
  std::string_view version;                                                // Vernier's
};

struct QuantConfig {
  std::string place;  // where in config.json it stands, as a JSON pointer
  Json config;
  Json hf_quant_config;  // hf_quant_config.json; null where there is none
  std::string reason;    // for the manifest
};

struct Dialect {
  std::string_view name;  // in recipes, manifests and errors
  bool chosen = true;     // recipes may ask for it; otherwise it is only found in sources
  // The dialect whose outputs may hold weights that stay in this one; null: only its own.
  const Dialect* extended_by = nullptr;

  // Whether a quantised weight's tensors are named so. Exactly one dialect says yes.
  bool (*names)(const checkpoint::SourceModel& source, const checkpoint::LogicalWeight& weight);

  PartNames parts = {};
  // Global scales, and the input scales beside them, divide.
  bool reciprocals = false;
  // One number is [1], and one a row [N, 1]; otherwise [] and [N].
  bool numbers_have_dimensions = false;
  checkpoint::DType number = checkpoint::DType::kF32;  // of scales that are plain numbers
  bool blocks_have_four_dimensions = false;            // [down, 1, across, 1]
  KvScales kv_scales = {};
  bool holds_kv_scales = true;
  const checkpoint::Container& (*container)() = checkpoint::SafetensorsContainer;
  // Engines want a static input scale for one scale a weight.
  bool needs_input_scales = false;

  // What its configuration calls a format; empty: it has none for it.
  std::string_view (*format_name)(checkpoint::Format format) = nullptr;
  // Why it has none for one that it could be asked for, and what to do instead.
  std::string_view missing_format = {}, missing_format_remedy = {};

  // Why no engine loads routed experts in a format of this dialect's, with static input scales or
  // without; empty where one does. And what to do instead.
  std::string_view (*experts_obstacle)(checkpoint::Format format, bool input_scales) = nullptr;
  std::string_view experts_remedy = {};
  // Engines that demand more of the sides of FP8 blocks than that scales can be laid out, and
  // whether that is whole columns too (recipes/plan_engines.h).
  std::string_view strict_about_blocks = "vLLM and SGLang";
  bool whole_block_columns = false;

  // The configuration of an output with at least one quantised module. Null: its container holds
  // all that engines read.
  QuantConfig (*make_config)(const ConfigRequest& request) = nullptr;
};

// The table.
std::span<const Dialect* const> Dialects();

extern const Dialect kModelopt;           // NVIDIA's ModelOpt (unified_export_hf.py)
extern const Dialect kCompressedTensors;  // vLLM project's compressed-tensors
extern const Dialect kGguf;               // llama.cpp's files
extern const Dialect kNative;  // X.scale or X.weight_scale_inv, as DeepSeek releases them

// In whose convention a quantised weight is stored.
const Dialect& DialectOf(const checkpoint::SourceModel& source,
                         const checkpoint::LogicalWeight& quantised);

// A config that engines find first, where a new one stands.
inline constexpr std::string_view kNewConfigPlace = "/quantization_config";

}  // namespace vernier::dialects

#endif  // VERNIER_DIALECTS_DIALECT_H_

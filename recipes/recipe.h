// A recipe: what to quantise, with which data, on which machine, into what.
#ifndef VERNIER_RECIPES_RECIPE_H_
#define VERNIER_RECIPES_RECIPE_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/memory_bound.h"
#include "checkpoint/formats/format.h"
#include "checkpoint/formats/scale_method.h"
#include "checkpoint/kv_cache_format.h"
#include "checkpoint/logical_weight.h"
#include "datasets/calibration_set.h"
#include "dialects/dialect.h"
#include "recipes/layer_set.h"
#include "recipes/overrides.h"

namespace vernier::recipes {

namespace formats = checkpoint::formats;
using checkpoint::Format;
using checkpoint::ScaleMethod;

// The format of a weight that stays as it is stored, byte for byte.
inline constexpr Format kKeep;

// How much may be spent on accuracy, where rules leave it open (ScaleMethod::kAuto, Smooth and
// Propagate::kEffort).
enum class Effort {
  kFast,      // "fast": scales of smallest weighted squared error
  kBalanced,  // "balanced": by local Hessians, and folds
  kBest,      // "best": GPTQ, and folds, on what quantised layers pass on
};

// Whether factors per channel move from what makes inputs into weights, where that lowers the error
// (checkpoint/families/fold.h).
enum class Smooth {
  kEffort,  // "effort": where effort says so, and where it is possible
  kNone,    // "none"
  kAuto,    // "auto"
};

// What calibration passes on from a layer to the next.
enum class Propagate {
  kEffort,     // "effort": quantised where effort is best
  kNone,       // "none": what the model computes
  kQuantised,  // "quantised": what it computes with the weights and activations that it will have
};

// Whose names for scales, and whose quantisation config.
using Dialect = const dialects::Dialect*;

// The input scales of weights whose format has them.
enum class ActivationScales {
  kCalibrated,  // from observed activations
  kNone,        // none are written
  kConstant,    // one and the same, everywhere
};
struct InputScales {
  ActivationScales from = ActivationScales::kCalibrated;
  float constant = 1;  // of kConstant

  bool operator==(const InputScales&) const = default;
};

// How engines keep the keys and values of past tokens.
enum class KvCache {
  kNone,       // "none": nothing is said of it, and they keep the model's own type
  kFp8,        // "fp8": E4M3, with scales from calibration
  kFp8Cast,    // "fp8_cast": E4M3, with scales of 1
  kNvfp4,      // "nvfp4": NVFP4, with scales from calibration
  kNvfp4Cast,  // "nvfp4_cast": NVFP4, with scales of 1
};
std::string_view KvCacheName(KvCache kv_cache);
checkpoint::KvCacheFormat FormatOf(KvCache kv_cache);
// Whether its scales come from calibration.
bool IsCalibrated(KvCache kv_cache);

// One rule. A weight matches when every given selector does; a rule that quantises and has no name
// matches linear weights only.
struct Rule {
  std::vector<checkpoint::Role> roles;  // one of them; empty: any
  std::string name_glob;                // on the module name; empty: any
  LayerSet layers = {};                 // one of them; empty: any, and what is in none
  Format format = kKeep;
  ScaleMethod scale = ScaleMethod::kAuto;
  Smooth smooth = Smooth::kEffort;
  std::optional<InputScales> activations = {};  // nothing: as the recipe has them
  bool optional = false;                        // may match nothing

  std::string Describe() const;  // "role attention, dense_mlp -> nvfp4 (max)"; ", smooth"
};

enum class ComputeDtype { kBFloat16, kFloat32 };
std::string_view ComputeDtypeName(ComputeDtype dtype);

struct CalibrationSection {
  datasets::CalibrationSpec data;
  ComputeDtype dtype = ComputeDtype::kBFloat16;
  // Sequences at a time; 0: the largest that fits the budget, at most 8, on a GPU 32.
  int64_t batch_size = 0;
  bool all_experts = false;  // every expert sees every token (observation only; outputs unchanged)
};

// What a CPU multiplies where a model computes in BF16. Sums are F32, and rounded once.
enum class CpuProducts {
  kF32,   // "f32": operands widened to F32
  kBf16,  // "bf16": BF16 operands, by oneDNN
  kAuto,  // "auto": bf16 where processor and libtorch are fast at it, else f32
};

struct ComputeSection {
  std::string device = "cpu";  // "cpu", "cuda", "cuda:N"
  MemoryBound device_memory;   // for weights and batches on the device; usually 80 % of the free
  MemoryBound host_memory;  // for hidden states on the host, above which they go to disk; usually
                            // half of the free
  uint64_t stream_memory = uint64_t{1} << 30;  // bytes that an export holds of sources and outputs
  int threads = 0;                             // 0: one a processor
  CpuProducts cpu_products = CpuProducts::kAuto;
  double save_interval = 60;  // seconds of work in a layer that may have to be repeated; 0: none
                              // but the batch or group of experts in flight
};

// How much the weights that rules make NVFP4 may take, where some of them are to keep more bits.
struct SizeBudget {
  double bits = 0;     // a weight of those, codes and scales; 0: not said
  uint64_t bytes = 0;  // the weight files of the output; 0: not said

  bool given() const { return bits > 0 || bytes > 0; }
  bool operator==(const SizeBudget&) const = default;
};

// What happens when a value that is read or computed is NaN or infinite.
enum class NonFinite {
  kStop,   // "stop": an error that names it
  kClamp,  // "clamp": NaN becomes 0, infinity the largest finite value; each is recorded
};

struct Recipe {
  std::filesystem::path origin;  // the recipe file
  std::string shipped_as;        // the name of one that comes with the program (shipped.h)
  std::string description;
  std::filesystem::path source;
  std::filesystem::path output;
  std::filesystem::path run_dir;
  CalibrationSection calibration;
  std::vector<Rule> rules;
  ComputeSection compute;
  Dialect dialect = &dialects::kModelopt;
  KvCache kv_cache = KvCache::kNone;
  ActivationScales activations = ActivationScales::kCalibrated;
  float constant_input_scale = 1;  // for kConstant
  // Names of config.json's model_type: models that it was made for. Empty: any.
  std::vector<std::string> models;
  double activation_headroom = 1;  // for kCalibrated: scales are of this times amax
  // Safetensors file: module name (or module + ".weight") -> F32 [K], the weight that the method
  // kMse gives to squared errors of each input channel. Empty: all alike.
  std::filesystem::path importance;
  Effort effort = Effort::kFast;
  Propagate propagate = Propagate::kEffort;
  SizeBudget budget;
  NonFinite non_finite = NonFinite::kStop;
  bool default_run_dir = false;  // run_dir was not given: it follows output

  // Of the weights that `rule` decides: its own, or the recipe's.
  InputScales InputScalesOf(const Rule& rule) const;
};

// Where a run's state goes when the recipe does not say: "<output>.run".
std::filesystem::path DefaultRunDirectory(const std::filesystem::path& output);

// Parses, checks against the recipe's JSON Schema (recipe_schema.h), and replaces the fields that
// `overrides` gives. Comments are allowed. Relative paths are relative to the recipe's directory. A
// field that is unknown, misplaced or of the wrong kind is kBadRecipe with its JSON pointer and,
// where one is near, the field that was probably meant; so are a scale method that a rule's format
// lacks, and missing data when input scales or scales of the key/value cache are calibrated. What
// an override is at fault for is kBadArgument.
Recipe LoadRecipe(const std::filesystem::path& path, const Overrides& overrides = {});
Recipe ParseRecipe(std::string_view text, const std::filesystem::path& origin,
                   const Overrides& overrides = {});

// The part of a recipe on which calibrated statistics depend, as canonical JSON: data sources by
// file name, sizes, seed, packing, dtype, all_experts, and non_finite unless it is "stop". Not the
// device, budgets or threads.
Json CalibrationIdentity(const Recipe& recipe);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_RECIPE_H_

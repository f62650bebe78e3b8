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
#include "checkpoint/logical_weight.h"
#include "datasets/calibration_set.h"

namespace vernier::recipes {

enum class TargetFormat { kKeep, kNvfp4 };

enum class ScaleMethod {
  kAuto,      // lossless for MXFP4 sources, max for all others
  kMax,       // global scale from the weight's (or fused group's) amax
  kLossless,  // closed-form cast of an MXFP4 source: same values
};

// One quantisation rule. A weight matches when every given selector does.
struct Rule {
  std::optional<checkpoint::Role> role;
  std::string name_glob;  // on the module name; empty: any
  TargetFormat format = TargetFormat::kKeep;
  ScaleMethod scale = ScaleMethod::kAuto;

  std::string Describe() const;  // "role routed_expert -> nvfp4 (lossless)"
};

enum class ComputeDtype { kBFloat16, kFloat32 };
std::string_view ComputeDtypeName(ComputeDtype dtype);

struct CalibrationSection {
  datasets::CalibrationSpec data;
  ComputeDtype dtype = ComputeDtype::kBFloat16;
  int64_t batch_size = 0;    // sequences at a time; 0: the largest that fits the budget, at most 8
  bool all_experts = false;  // every expert sees every token (observation only; outputs unchanged)
};

struct ComputeSection {
  std::string device = "cpu";  // "cpu", "cuda", "cuda:N"
  uint64_t device_memory =
      0;                     // bytes for weights and batches on the device; 0: 80 % of what is free
  uint64_t host_memory = 0;  // bytes for hidden states on the host; above it they go to disk;
                             // 0: half of the free memory
  int threads = 0;           // 0: all cores
};

struct Recipe {
  std::filesystem::path origin;  // the recipe file
  std::string description;
  std::filesystem::path source;
  std::filesystem::path output;
  std::filesystem::path run_dir;
  CalibrationSection calibration;
  std::vector<Rule> rules;
  ComputeSection compute;
  std::string dialect = "modelopt";
};

// Parses and checks against the recipe's JSON Schema. Comments are allowed. Relative paths are
// relative to the recipe's directory. A field that is unknown, misplaced or of the wrong kind is
// kBadRecipe with its JSON pointer and, where one is near, the field that was probably meant.
Recipe LoadRecipe(const std::filesystem::path& path);
Recipe ParseRecipe(std::string_view text, const std::filesystem::path& origin);

// The schema as published in recipes/recipe.schema.json (embedded in the binary).
std::string_view RecipeSchema();

// Values given on the command line; each replaces the recipe's field. Paths are relative to the
// current directory.
struct Overrides {
  std::optional<std::string> source, output, run_dir, device;
  std::vector<std::string> data;  // files or directories, in place of all of the recipe's sources
  std::optional<std::string> device_memory, host_memory;  // sizes such as "8GiB"
  std::optional<int64_t> samples, sequence_length, batch_size;
  std::optional<uint64_t> seed;
  std::optional<int> threads;
};
void ApplyOverrides(const Overrides& overrides, Recipe& recipe);

// The part of a recipe on which calibrated statistics depend, as canonical JSON: data sources by
// file name, sizes, seed, packing, dtype, all_experts. Not the device, budgets or threads.
Json CalibrationIdentity(const Recipe& recipe);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_RECIPE_H_

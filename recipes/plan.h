// The plan: what happens to every logical weight, and every output byte's place. A pure function of
// the source's headers and the recipe.
#ifndef VERNIER_RECIPES_PLAN_H_
#define VERNIER_RECIPES_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/source_model.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

// What becomes of one logical weight (parallel to ModelLayout::weights).
struct WeightPlan {
  TargetFormat format = TargetFormat::kKeep;
  ScaleMethod scale = ScaleMethod::kAuto;  // resolved: never kAuto for kNvfp4
  int rule = -1;                           // index of the rule that decided, -1: no rule matched
  size_t scale_group = 0;                  // index into Plan::scale_groups, for kNvfp4
};

// Quantised weights that share one global weight scale and one input scale: the members of a fused
// group, or a weight alone.
struct ScaleGroup {
  std::string name;
  std::vector<size_t> weights;  // indices into ModelLayout::weights
  ScaleMethod scale = ScaleMethod::kMax;
};

enum class OutputPart {
  kSourceBytes,  // a source tensor, byte for byte
  kPacked,       // E2M1 nibbles
  kBlockScale,   // E4M3 per 16
  kGlobalScale,  // F32 scalar
  kInputScale,   // F32 scalar
};

struct OutputTensor {
  OutputPart part = OutputPart::kSourceBytes;
  size_t weight = 0;            // index into ModelLayout::weights
  size_t source_tensor = 0;     // for kSourceBytes: index into Checkpoint::tensors()
  checkpoint::TensorInfo info;  // name, dtype, shape and final byte range in the shard
};

// A shard keeps its source's file name, and holds what became of its source's tensors.
struct OutputShard {
  std::string file_name;
  std::string prefix;  // safetensors header, complete
  uint64_t file_bytes = 0;
  std::vector<OutputTensor> tensors;  // in file order
};

struct Plan {
  std::vector<WeightPlan> weights;
  std::vector<ScaleGroup> scale_groups;
  std::vector<OutputShard> shards;
  uint64_t tensor_bytes = 0;  // the index's total_size

  // Modules whose input amax calibration must observe, in layout order.
  std::vector<std::string> observed_modules;

  uint64_t OutputFileBytes() const;
};

// Errors: kUnusedRule (a rule that matches nothing), kBadRule (a rule that quantises what cannot
// be: not linear, K % 16 != 0, MTP, a lossless cast of a source that is not MXFP4, a fused group or
// a layer's experts only in part).
Plan MakePlan(const checkpoint::SourceModel& source, const Recipe& recipe);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_PLAN_H_

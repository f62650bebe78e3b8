// The plan: what happens to every logical weight, and every output byte's place. A pure function of
// the source's headers and the recipe.
#ifndef VERNIER_RECIPES_PLAN_H_
#define VERNIER_RECIPES_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/containers/placement.h"
#include "checkpoint/containers/registry.h"
#include "checkpoint/families/fold.h"
#include "checkpoint/source_model.h"
#include "dialects/output_part.h"
#include "dialects/target_parts.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

using dialects::Fp8Blocks;
using dialects::OutputPart;

// What becomes of one logical weight (parallel to ModelLayout::weights).
struct WeightPlan {
  Format format = kKeep;
  ScaleMethod scale = ScaleMethod::kAuto;  // resolved: never kAuto for a quantised format
  int rule = -1;                           // index of the rule that decided, -1: no rule matched
  InputScales input_scales = {};           // where the format has them
  size_t scale_group = 0;                  // index into Plan::scale_groups, for quantised formats
  // Not in the output: a scale of the cache that kv_cache replaces, or what the container leaves
  // out.
  bool dropped = false;
  // Indices into Plan::folds, -1 for none: whose producer it is, whose consumer, and for which
  // calibration looks at its input.
  int row_fold = -1, column_fold = -1, observed_fold = -1;
  bool with_stack = false;  // written anew because others of its stack are
  bool promoted = false;    // a budget lets it keep more bits than its rule asks for
  bool tried = false;       // calibration measures by it what formats cost

  // Of a weight that its container keeps in its own way, be it converted or kept.
  std::optional<checkpoint::Placement> placement = {};

  bool folded() const { return row_fold >= 0 || column_fold >= 0; }

  // Whether it gets a static scale of its inputs; whether calibration finds it.
  bool HasInputScale() const;
  bool HasCalibratedInputs() const;
};

// A fold whose factors calibration chooses, from what it sees of the input of one of its consumers.
struct PlannedFold {
  checkpoint::Fold fold;
  size_t observed = 0;  // index into ModelLayout::weights
};

// Quantised weights that share one weight scale: the members of a fused group whose format has one
// for all values of a weight (NVFP4, FP8 per tensor), or a weight alone.
struct ScaleGroup {
  std::string name;
  std::vector<size_t> weights;  // indices into ModelLayout::weights
  // The weights whose inputs give the group's input scale: those of the whole fused group, because
  // engines feed a fused matrix one input with one scale, whatever the parts' weight scales are.
  std::vector<size_t> inputs;
  ScaleMethod scale = ScaleMethod::kMax;
};

struct OutputTensor {
  static constexpr size_t kNoStack = static_cast<size_t>(-1);

  OutputPart part = OutputPart::kSourceBytes;
  size_t weight = 0;         // index into ModelLayout::weights; of kKvScale: what it stands beside
  size_t source_tensor = 0;  // for kSourceBytes: index into Checkpoint::tensors()
  // Of codes that are stacked as a stored tensor of the source is: that tensor, and the values are
  // those of all weights that are its parts.
  size_t stack = kNoStack;
  size_t kv_entry = 0;          // for kKvScale: index into Plan::kv_entries
  checkpoint::TensorInfo info;  // name, dtype, shape and byte range in the shard
};

// A file of the output, as Plan::container lays it out. It holds what became of the tensors of one
// of the source's files, or of several.
struct OutputShard {
  std::string file_name;
  checkpoint::FileMetadata metadata;  // of these files
  uint64_t file_bytes = 0;
  std::vector<OutputTensor> tensors;  // in file order
};

// Formats of weights that keep more bits than their rules ask for, by index into
// ModelLayout::weights.
using Promotions = std::map<size_t, Format>;

// What a budget was spent on.
struct BudgetOutcome {
  struct Promoted {
    std::string name;  // of what got one format together
    Format format = kKeep;
    double error = 0, error_in_nvfp4 = 0;  // of the sums below
  };

  double bits = 0, bits_in_nvfp4 = 0;  // a weight of those that rules make NVFP4
  int64_t units = 0;                   // that could be promoted
  std::vector<Promoted> promoted;
  // Sums of errors relative to the hidden states (ChooseFormats): of the choice, and with
  // everything in NVFP4.
  double error = 0, error_in_nvfp4 = 0;
};

// What a layer's attention and its FFN are called among what is observed: no module's name.
std::string AttentionBlock(int64_t layer);
std::string FfnBlock(int64_t layer);

struct Plan {
  Dialect dialect = &dialects::kModelopt;
  Fp8Blocks fp8_blocks;
  KvCache kv_cache = KvCache::kNone;
  // A layer's calibration sees what the quantised layers before it pass on.
  bool propagates = false;
  // What attention caches, where the output holds new scales of it.
  std::vector<checkpoint::KvCacheEntry> kv_entries;
  std::vector<WeightPlan> weights;
  std::vector<ScaleGroup> scale_groups;
  std::vector<PlannedFold> folds;
  std::optional<BudgetOutcome> budget;  // of a plan with promotions
  const checkpoint::Container* container = &checkpoint::SafetensorsContainer();
  std::vector<OutputShard> shards;
  uint64_t tensor_bytes = 0;          // in all shards
  std::vector<std::string> warnings;  // sentences about what one engine would refuse (plan_engines)

  // Modules whose input amax calibration must observe, in layout order (routers, where a fold goes
  // by them, among them), then the caches (KvCacheEntry::observed) of which it must. Empty when no
  // scale comes from calibration.
  std::vector<std::string> observed_modules;
  // Blocks of which calibration is to see how much of the hidden states they make.
  std::vector<std::string> observed_blocks;

  uint64_t OutputFileBytes() const;
};

// Whether the recipe takes scales from calibration, of inputs (a rule's format has them) or of the
// key/value cache: without it, a plan observes nothing.
bool ObservesInputs(const Recipe& recipe);

// Whether scales of the module's weight could be chosen by `method`: its format has it, and they
// are not those of a lossless cast.
bool CanScaleBy(ScaleMethod method, const checkpoint::ModelLayout& layout, const Plan& plan,
                std::string_view module);

// Whether they are.
bool IsScaledBy(ScaleMethod method, const checkpoint::ModelLayout& layout, const Plan& plan,
                std::string_view module);

// The weights that calibration solves (kGptq), by index, and of each whose inputs it is solved
// with: of those that an engine fuses, and which have the same, the first that is solved.
std::map<size_t, size_t> SolvedWith(const checkpoint::ModelLayout& layout, const Plan& plan);

// Whether calibration chooses a fold by the module's input; whether a fold changes that.
bool ChoosesFold(const checkpoint::ModelLayout& layout, const Plan& plan, std::string_view module);
bool ReadsFold(const checkpoint::ModelLayout& layout, const Plan& plan, std::string_view module);

// Whether calibration measures by the module what formats cost.
bool TriesFormats(const checkpoint::ModelLayout& layout, const Plan& plan, std::string_view module);

// The decoder layer of one of plan.observed_modules.
int ObservedLayer(const checkpoint::ModelLayout& layout, const Plan& plan, std::string_view module);

// Errors: kMissingTensor (RequireComplete), kUnusedRule (a rule that matches nothing), kBadRule (a
// rule for what cannot be: not linear, columns that blocks do not divide, MTP, a format that the
// weight has already, a method that the format lacks, a lossless cast of a source that is not
// MXFP4, a fused group or a layer's experts only in part, int4 in the modelopt dialect, dialects
// mixed in one output, routed experts in a format that no engine loads (plan_engines.h),
// local_hessian, gptq, smooth or a budget without calibrated inputs, a budget that is too small or
// that nothing can use, smooth where nothing can be folded; or a field of the recipe that no weight
// uses: importance without scale mse, effort without a weight that leaves it anything, propagate
// without scale gptq, headroom without calibrated input scales, a constant input scale without
// input scales; or a key/value cache that export.kv_cache cannot describe, see plan_kv_cache.h).
// `promotions` are decided on after all rules.
Plan MakePlan(const checkpoint::SourceModel& source, const Recipe& recipe,
              const Promotions& promotions = {});

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_PLAN_H_

// Which of the weights that rules make NVFP4 keep more bits within a budget.
#ifndef VERNIER_RECIPES_FORMAT_CHOICE_H_
#define VERNIER_RECIPES_FORMAT_CHOICE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

// Routed experts of a layer that stand for all: spread evenly.
inline constexpr int kTriedExperts = 4;

// What a format costs a linear layer, with weights and inputs in it, on tokens of the calibration.
struct FormatError {
  std::string module;
  Format format = formats::kNvfp4;
  int64_t tokens = 0;  // that the layer saw
  // Mean squares of an element of the output and of its error.
  double energy = 0, error = 0;
};

struct FormatChoice {
  Promotions promotions;
  BudgetOutcome outcome;
};

// What calibration measured: of formats, and of each block (plan.observed_blocks) the mean over
// tokens of |what it adds to the hidden states|^2 / |hidden states behind it|^2.
struct MeasuredErrors {
  std::vector<FormatError> formats;
  std::map<std::string, double> block_shares;
};

// The smallest sum of errors that fits recipe.budget, of the first two options of each unit
// (recipes/format_units.h); the last is for what is left when every unit that gains by it has the
// second. An error is a linear layer's, relative to its output, times the share that its block has
// in the hidden states (about what the hidden states lose by it, which the rest of the model sees),
// times 2 in the first and the last layer, 1 in the middle and between them as a parabola. `plan`
// is the recipe's without promotions. kStoreIdentity, naming `origin`, when `measured` has nothing
// of a layer that is to be tried: a calibration without a budget made it.
FormatChoice ChooseFormats(const checkpoint::SourceModel& source, const Recipe& recipe,
                           const Plan& plan, const MeasuredErrors& measured,
                           std::string_view origin);

// Bytes of the output's weight files at most: those of `plan` and what the budget adds.
uint64_t MostOutputBytes(const checkpoint::SourceModel& source, const Recipe& recipe,
                         const Plan& plan);

// Marks the weights on which calibration tries formats, and the blocks that it looks at. kBadRule
// where the budget cannot be met, or nothing of it can be spent.
void PlanTrials(const checkpoint::SourceModel& source, const Recipe& recipe, Plan& plan);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_FORMAT_CHOICE_H_

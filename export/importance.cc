#include "export/importance.h"

#include <algorithm>

#include "export/calibrated_importance.h"
#include "export/file_importance.h"

namespace vernier::exporter {

std::unique_ptr<Importance> MakeImportance(const recipes::Recipe& recipe,
                                           const checkpoint::ModelLayout& layout,
                                           const recipes::Plan& plan, const run::Store& store) {
  if (!recipe.importance.empty()) return std::make_unique<FileImportance>(recipe.importance);
  if (!std::ranges::any_of(plan.weights, UsesImportance)) return std::make_unique<Importance>();
  return std::make_unique<CalibratedImportance>(layout, plan, store);
}

}  // namespace vernier::exporter

// The statistics of a report: by layer and role, and of the worst weights.
#ifndef VERNIER_AUDIT_CELLS_H_
#define VERNIER_AUDIT_CELLS_H_

#include <optional>
#include <span>
#include <vector>

#include "audit/module_facts.h"
#include "audit/scale_readings.h"
#include "audit/statistics.h"
#include "audit/subject.h"

namespace vernier::audit {

// The multiplier that an NVFP4 weight's global or input scale stands for, whichever way its dialect
// stores it; nothing where it is none that engines could use.
std::optional<float> WeightMultiplier(const Subject& subject, const Module& module,
                                      const ModuleScalars& scalars);
std::optional<float> InputMultiplier(const Subject& subject, const Module& module,
                                     const ModuleScalars& scalars);

// By layer, then role; every weight is in one cell. `scalars` and `facts` by module.
std::vector<CellStatistics> CellsOf(const Subject& subject, std::span<const ModuleScalars> scalars,
                                    std::span<const ModuleFacts> facts);

// The `count` compared weights with the largest relative errors, the largest first; of equal ones
// those that come first in the checkpoint. Weights that are exact are left out.
std::vector<WeightError> WorstWeights(const Subject& subject, std::span<const ModuleFacts> facts,
                                      size_t count);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_CELLS_H_

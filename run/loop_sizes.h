// The sizes of the calibration loop that its results depend on in the last bits.
#ifndef VERNIER_RUN_LOOP_SIZES_H_
#define VERNIER_RUN_LOOP_SIZES_H_

#include <optional>

#include "recipes/budget.h"
#include "run/store.h"

namespace vernier::run {

extern const char kLoopSizesTable[];

// As the calibration began with; nothing before that. A resume keeps them, whatever memory is free
// then: matrix products of other heights may differ in the last bits.
std::optional<recipes::LoopSizes> LoadLoopSizes(const Store& store);
void SaveLoopSizes(const Store& store, const recipes::LoopSizes& sizes);

}  // namespace vernier::run

#endif  // VERNIER_RUN_LOOP_SIZES_H_

// The sizes of the calibration loop that its results depend on in the last bits.
#ifndef VERNIER_CALIB_STORE_LOOP_SIZES_H_
#define VERNIER_CALIB_STORE_LOOP_SIZES_H_

#include <optional>

#include "calib/store/store.h"
#include "recipes/budget.h"

namespace vernier::calib {

// As the calibration began with; nothing before that. A resume keeps them, whatever memory is free
// then: matrix products of other heights may differ in the last bits.
std::optional<recipes::LoopSizes> LoadLoopSizes(const Store& store);
void SaveLoopSizes(const Store& store, const recipes::LoopSizes& sizes);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_STORE_LOOP_SIZES_H_

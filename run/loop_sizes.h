// The sizes of the calibration loop that its results depend on in the last bits.
#ifndef VERNIER_RUN_LOOP_SIZES_H_
#define VERNIER_RUN_LOOP_SIZES_H_

#include <cstdint>
#include <optional>

#include "run/store.h"

namespace vernier::run {

extern const char kLoopSizesTable[];

struct LoopSizes {
  int64_t batch_size = 1;     // sequences per batch
  int64_t query_chunk = 256;  // queries of a sequence whose attention scores exist at once
};

// As the calibration began with; nothing before that. A resume keeps them, whatever memory is free
// then: matrix products of other heights may differ in the last bits.
std::optional<LoopSizes> LoadLoopSizes(const Store& store);
void SaveLoopSizes(const Store& store, const LoopSizes& sizes);

}  // namespace vernier::run

#endif  // VERNIER_RUN_LOOP_SIZES_H_

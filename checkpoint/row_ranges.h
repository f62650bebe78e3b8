// Which bytes of a checkpoint's files rows of a weight need.
#ifndef VERNIER_CHECKPOINT_ROW_RANGES_H_
#define VERNIER_CHECKPOINT_ROW_RANGES_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/read_ahead.h"
#include "checkpoint/weight_decoder.h"

namespace vernier::checkpoint {

// MainRange and ScaleRange of rows [row_begin, row_begin + row_count) as ranges of files, which are
// the checkpoint's shards in their order, the first of them being file `first_file`. FileRange()
// where nothing is to be read.
std::array<FileRange, 2> RowRanges(const Checkpoint& checkpoint, const LogicalWeight& weight,
                                   int64_t row_begin, int64_t row_count, size_t first_file = 0);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_ROW_RANGES_H_

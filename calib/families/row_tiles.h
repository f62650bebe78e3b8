// Work on many rows a tile at a time, so that what a tile needs in between stays in the cache of
// the processor that computes it, and one pool of threads does all of it.
#ifndef VERNIER_CALIB_FAMILIES_ROW_TILES_H_
#define VERNIER_CALIB_FAMILIES_ROW_TILES_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>

namespace vernier::calib {

// Calls `run(begin, end)` for tiles of [0, rows): of `tile` rows, but for the last. On a CPU on as
// many threads as libtorch has, each with operators of one thread, and in no order; the tiles do
// not depend on the number of threads, and so no result does. On another device in turn. What `run`
// throws, this throws.
void ForRowTiles(at::Device device, int64_t rows, int64_t tile,
                 const std::function<void(int64_t begin, int64_t end)>& run);

// Rows of `columns` values for steps that go through a tile several times: on a CPU its F32 copies
// fit the second cache, elsewhere they bound what temporaries take (kDeviceTileValues).
int64_t RowsOfTile(at::Device device, int64_t columns);

// A tensor like x, contiguous, whose rows (over the last axis) `rows_of` makes of x's, a tile of
// them [R, K] at a time and in any dtype: rounded to x's.
at::Tensor MapRows(const at::Tensor& x,
                   const std::function<at::Tensor(const at::Tensor& tile)>& rows_of);
// The same of x and y, which have the same number of elements in rows of x.size(-1).
at::Tensor MapRows(
    const at::Tensor& x, const at::Tensor& y,
    const std::function<at::Tensor(const at::Tensor& x_tile, const at::Tensor& y_tile)>& rows_of);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_ROW_TILES_H_

// Sizes of the layer loop that no machine changes: the loop and the forecast of its memory share
// them. Bytes unless a name says otherwise.
#ifndef VERNIER_CALIB_BUDGET_LOOP_CONSTANTS_H_
#define VERNIER_CALIB_BUDGET_LOOP_CONSTANTS_H_

#include <algorithm>
#include <cstdint>

namespace vernier::calib {

// Rows of one product of a routed expert: products of other heights may differ in the last bits.
inline constexpr int64_t kExpertRows = 4096;

// Rows of a routed expert's inputs that sums of them take together, however they come.
inline constexpr int64_t kSumRows = 1024;

// On a CPU: rows that are widened, multiplied and rounded together, columns of their product at
// most, and queries whose scores exist at once on a thread. Products in F32 have a multiple of
// kProductRowUnit rows, what is missing being zeros: a BLAS adds up the rows that its kernel does
// not divide in another order (OpenBLAS has kernels of 12 and 16), and a row must not depend on
// how many there are.
inline constexpr int64_t kProductRowUnit = 48;
inline constexpr int64_t kProductRows = 10 * kProductRowUnit;
inline constexpr int64_t kProductColumns = 1024;
inline constexpr int64_t kQueryTile = 64;

// On another device: rows of one product of F32 values, and of a BF16 one of fewer than
// kWideProduct columns, since those of other heights are other sums there. Missing rows are zeros,
// but not where there are few in all (kFewDeviceRows): they are what a token makes.
inline constexpr int64_t kDeviceProductRows = 1024;
inline constexpr int64_t kWideProduct = 1024;
inline constexpr int64_t kFewDeviceRows = 8;

// On a device other than a CPU, batches of so many sequences or more compute the same products.
inline constexpr int64_t kLeastEqualBatch = 8;

// On another device: rows of `columns` values that steps with F32 temporaries take at a time, so
// that these do not grow with the batch. Whole products.
inline constexpr int64_t kDeviceTileValues = 1 << 24;
constexpr int64_t DeviceTileRows(int64_t columns) {
  const int64_t products = kDeviceTileValues / (std::max<int64_t>(columns, 1) * kDeviceProductRows);
  return std::max<int64_t>(products, 1) * kDeviceProductRows;
}

// Samples of which a routed expert computes all rows: about 64 K tokens, fewer beside smaller
// batches, the same beside all of kLeastEqualBatch and more. Made of what a store keeps, so that a
// resume computes the same products.
constexpr int64_t SamplesPerChunk(int64_t batch_size, int64_t sequence_length) {
  constexpr int64_t kTokensPerSampleOfBatch = 8192;
  return std::min(batch_size, kLeastEqualBatch) *
         std::max<int64_t>(1, kTokensPerSampleOfBatch / sequence_length);
}

// Positions of a delta net that are computed together by products of matrices (arXiv 2412.06464,
// section 3.3): within such a chunk, what keys overwrite of each other is a triangular system.
inline constexpr int64_t kDeltaChunk = 64;

// Of weights on their way to a device, what lies there before it is asked for.
inline constexpr uint64_t kWeightsAhead = 128u << 20u;

// What a device's library of products works with: of cuBLAS on an H200, measured.
inline constexpr uint64_t kDeviceWorkspace = 64u << 20u;

// Routed experts between two looks at their outputs, where the device could hold more.
inline constexpr int64_t kExpertsPerGroup = 16;

// Bytes of solved weights that are written together, beside the work.
inline constexpr uint64_t kSolvedBatchBytes = 64u << 20u;

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BUDGET_LOOP_CONSTANTS_H_

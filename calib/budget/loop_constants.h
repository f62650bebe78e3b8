// Sizes of the layer loop that no machine changes: the loop and the forecast of its memory share
// them. Bytes unless a name says otherwise.
#ifndef VERNIER_CALIB_BUDGET_LOOP_CONSTANTS_H_
#define VERNIER_CALIB_BUDGET_LOOP_CONSTANTS_H_

#include <algorithm>
#include <cstdint>

namespace vernier::calib {

// Rows of one product of a routed expert: products of other heights may differ in the last bits.
inline constexpr int64_t kExpertRows = 4096;

// On a CPU: rows that are widened, multiplied and rounded together, columns of their product at
// most, and queries whose scores exist at once on a thread.
inline constexpr int64_t kProductRows = 512;
inline constexpr int64_t kProductColumns = 1024;
inline constexpr int64_t kQueryTile = 64;

// Samples of which a routed expert computes all rows: about 64 K tokens, fewer beside smaller
// batches. Made of what a store keeps, so that a resume computes the same products.
constexpr int64_t SamplesPerChunk(int64_t batch_size, int64_t sequence_length) {
  constexpr int64_t kTokensPerSampleOfBatch = 8192, kLargestCounted = 8;
  const int64_t samples = std::min(batch_size, kLargestCounted) *
                          std::max<int64_t>(1, kTokensPerSampleOfBatch / sequence_length);
  return std::max(batch_size, samples);
}

// Of weights on their way to a device, what lies there before it is asked for.
inline constexpr uint64_t kWeightsAhead = 128u << 20u;

// Routed experts between two looks at their outputs, where the device could hold more.
inline constexpr int64_t kExpertsPerGroup = 16;

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BUDGET_LOOP_CONSTANTS_H_

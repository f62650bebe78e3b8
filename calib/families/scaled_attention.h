// Softmax attention of chunks of queries, for keys and values that several query heads share.
#ifndef VERNIER_CALIB_FAMILIES_SCALED_ATTENTION_H_
#define VERNIER_CALIB_FAMILIES_SCALED_ATTENTION_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>

namespace vernier::calib {

// Keys and values of a batch of sequences that grow together, widened once for all queries.
class KeyValues {
 public:
  // With room for `positions` of each sequence.
  explicit KeyValues(int64_t positions) : positions_(positions) {}

  // Positions that it holds.
  int64_t length() const { return length_; }

  // keys [B, S, n, d], values [B, S, n, v] of the next S positions, any floating dtype.
  void Append(const at::Tensor& keys, const at::Tensor& values);

  // Queries of positions [begin, begin + C), q [B, C, h, d] with h a multiple of n: head i reads
  // keys i / (h / n). Each sees its own position and those before, the last `window` of them if
  // that is not 0. F32 softmax of scale * q . k and, if they are defined, of `sinks` [h] F32,
  // scores that have no value -> [B, C, h, v], q's dtype.
  at::Tensor Attend(const at::Tensor& q, int64_t begin, int64_t window, double scale,
                    const at::Tensor& sinks = {}) const;

 private:
  int64_t positions_, length_ = 0;
  at::Tensor keys_, values_;  // [B, n, positions, d] and [B, n, positions, v], F32
};

// Calls `run(begin, end)` for chunks of at most `chunk` of `length` positions, in order, and joins
// what it returns, [B, C, ...], to [B, length, ...].
at::Tensor InChunks(int64_t length, int64_t chunk,
                    const std::function<at::Tensor(int64_t begin, int64_t end)>& run);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_SCALED_ATTENTION_H_

// Softmax attention of chunks of queries, for keys and values that several query heads share.
#ifndef VERNIER_CALIB_FAMILIES_SCALED_ATTENTION_H_
#define VERNIER_CALIB_FAMILIES_SCALED_ATTENTION_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>

namespace vernier::calib {

// What a delta net keeps of a batch of sequences that grow together; undefined before the first
// position.
struct RecurrentState {
  at::Tensor inputs;  // [B, kernel - 1, W]: the last that the convolution saw
  at::Tensor state;   // [B, n, r, dk, dv], F32: of r value heads of each of n key heads
};

// What decides over scores besides positions; undefined: nothing does.
struct ScoreChanges {
  at::Tensor chosen = {};  // bool [B, C, keys up to the last query's]: which of these a query sees
  at::Tensor sinks = {};   // F32 [h]: a score of each head that has no value
};

// What attention keeps of a batch of sequences that grow together: keys and values, widened once
// for all queries, or a state instead of them.
class KeyValues {
 public:
  // With room for `positions` of each sequence.
  explicit KeyValues(int64_t positions) : positions_(positions) {}

  RecurrentState& recurrent() { return recurrent_; }

  // Positions that it holds.
  int64_t length() const { return length_; }

  // keys [B, S, n, d], values [B, S, n, v] of the next S positions, any floating dtype.
  void Append(const at::Tensor& keys, const at::Tensor& values);

  // The same of an indexer: keys [B, S, d] of the next S positions.
  void AppendIndex(const at::Tensor& keys);
  // [B, positions so far, d], F32; undefined without.
  at::Tensor index_keys() const;

  // Queries of positions [begin, begin + C), q [B, C, h, d] with h a multiple of n: head i reads
  // keys i / (h / n). Each sees its own position and those before, the last `window` of them if
  // that is not 0. F32 softmax of scale * q . k, as `changes` has it -> [B, C, h, v], q's dtype.
  at::Tensor Attend(const at::Tensor& q, int64_t begin, int64_t window, double scale,
                    const ScoreChanges& changes = {}) const;

 private:
  int64_t positions_, length_ = 0, index_length_ = 0;
  at::Tensor keys_, values_;  // [B, n, positions, d] and [B, n, positions, v], F32
  at::Tensor index_keys_;     // [B, 1, positions, d], F32
  RecurrentState recurrent_;
};

// Calls `run(begin, end)` for chunks of at most `chunk` of `length` positions, in order, and joins
// what it returns, [B, C, ...], to [B, length, ...].
at::Tensor InChunks(int64_t length, int64_t chunk,
                    const std::function<at::Tensor(int64_t begin, int64_t end)>& run);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_SCALED_ATTENTION_H_

// Rows of a weight without NaN and infinity.
#ifndef VERNIER_CHECKPOINT_CLAMPED_ROWS_H_
#define VERNIER_CHECKPOINT_CLAMPED_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "checkpoint/read_observer.h"
#include "checkpoint/weight_decoder.h"

namespace vernier::checkpoint {

// The raw rows that DecodeRows accepts in place of `rows`, which must outlive this.
//   a plain value: NaN becomes 0; infinity the largest finite number of F16, or of BF16 (of F32
//     too, so that it is the same whether it is read as F32 or as BF16)
//   an FP8 code that is NaN: 0
//   a block scale that is NaN or infinite: the values of its block become 0
// A bad global scale, and finite numbers whose product is too large, stay errors: there nothing of
// the weight would be left, or nothing was wrong with a value. `rows.main` may be empty where only
// scales are looked at. Memory: a copy of what holds something to replace.
class ClampedRows {
 public:
  ClampedRows(const Checkpoint& checkpoint, const LogicalWeight& weight, const RawRows& rows);
  ClampedRows(ClampedRows&&) = default;

  const RawRows& rows() const { return rows_; }
  // At most an entry for the weight's main tensor and one for its block scales. An element that
  // consecutive pieces of a weight share is counted in the first of them.
  const std::vector<ClampedElements>& clamped() const { return clamped_; }

 private:
  void ClampValues();
  void ClampCodes();
  void ClampScales();
  void ZeroBlock(int64_t block_row, int64_t block_column);
  void Count(size_t tensor, int64_t index, const char* value);
  // The bytes of `view`, copied to be changed.
  static std::span<std::byte> Own(std::span<const std::byte>& view, std::vector<std::byte>& copy);

  const Checkpoint* checkpoint_;
  const LogicalWeight* weight_;
  RawRows rows_;
  std::vector<std::byte> main_;
  std::vector<std::byte> scale_;
  std::vector<ClampedElements> clamped_;
};

// What pieces of tensors report, by tensor. The same in any order of the pieces.
class ClampedTally {
 public:
  void Add(const std::vector<ClampedElements>& clamped);
  void Merge(const ClampedTally& other);
  void Report(ReadObserver* observer) const;

 private:
  void AddOne(const ClampedElements& elements);

  std::map<size_t, ClampedElements> by_tensor_;
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_CLAMPED_ROWS_H_

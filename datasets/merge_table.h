// The merges of a BPE model by the pair of ids that they join.
#ifndef VERNIER_DATASETS_MERGE_TABLE_H_
#define VERNIER_DATASETS_MERGE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vernier::datasets {

struct Merge {
  int32_t rank;       // place in the list of merges: lower is applied first
  int32_t merged_id;  // the token that the pair becomes
};

// A hash table with open addressing, because encoding looks up little else: one cache line a
// look-up instead of a chain of nodes.
class MergeTable {
 public:
  // An empty table for at most `capacity` merges.
  explicit MergeTable(size_t capacity = 0);

  // Ids must not be negative. A pair that is there already takes the new merge.
  void Set(int32_t left, int32_t right, Merge merge);
  // Null when the pair does not merge.
  const Merge* Find(int32_t left, int32_t right) const;

 private:
  struct Slot {
    int32_t left;  // kEmpty: a free slot
    int32_t right;
    Merge merge;
  };

  // The slot of the pair, or the free one where it belongs.
  size_t Locate(int32_t left, int32_t right) const;

  std::vector<Slot> slots_;  // a power of two, at most half of them used
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_MERGE_TABLE_H_

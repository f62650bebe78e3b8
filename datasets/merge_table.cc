#include "datasets/merge_table.h"

#include <bit>
#include <cassert>

namespace vernier::datasets {
namespace {

constexpr int32_t kEmpty = -1;

// The finaliser of MurmurHash3, which spreads every bit of the pair over the whole word.
uint64_t HashPair(int32_t left, int32_t right) {
  uint64_t hash =
      static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  hash ^= hash >> 33;
  hash *= 0xFF51AFD7ED558CCDu;
  hash ^= hash >> 33;
  hash *= 0xC4CEB9FE1A85EC53u;
  return hash ^ hash >> 33;
}

}  // namespace

MergeTable::MergeTable(size_t capacity)
    : slots_(std::bit_ceil(2 * capacity + 1), Slot{kEmpty, kEmpty, {}}) {}

size_t MergeTable::Locate(int32_t left, int32_t right) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = HashPair(left, right) & mask;
  while (slots_[slot].left != kEmpty &&
         (slots_[slot].left != left || slots_[slot].right != right)) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

void MergeTable::Set(int32_t left, int32_t right, Merge merge) {
  assert(left >= 0 && right >= 0);
  slots_[Locate(left, right)] = {left, right, merge};
}

const Merge* MergeTable::Find(int32_t left, int32_t right) const {
  const Slot& slot = slots_[Locate(left, right)];
  return slot.left == kEmpty ? nullptr : &slot.merge;
}

}  // namespace vernier::datasets

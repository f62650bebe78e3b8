// What a weight takes in its checkpoint.
#ifndef VERNIER_CHECKPOINT_STORED_BYTES_H_
#define VERNIER_CHECKPOINT_STORED_BYTES_H_

#include <cstdint>

#include "checkpoint/checkpoint.h"
#include "checkpoint/logical_weight.h"

namespace vernier::checkpoint {

// With all of its scales and other parts.
inline uint64_t StoredBytes(const Checkpoint& checkpoint, const LogicalWeight& weight) {
  uint64_t bytes = 0;
  for (const size_t part : weight.Parts()) bytes += checkpoint.tensor(part).info.Bytes();
  return bytes;
}

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_STORED_BYTES_H_

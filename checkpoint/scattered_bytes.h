// Bytes of tensors out of what was read of their files: parts of stacks may lie scattered there.
#ifndef VERNIER_CHECKPOINT_SCATTERED_BYTES_H_
#define VERNIER_CHECKPOINT_SCATTERED_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/weight_decoder.h"

namespace vernier::checkpoint {

// Whether the bytes of a tensor do not follow each other in its file.
bool LiesScattered(const Checkpoint& checkpoint, size_t tensor);

// Some bytes of a shard, from `begin` on.
struct ShardBytes {
  uint64_t begin = 0;
  std::span<const std::byte> bytes;
};

// Bytes `wanted` of a tensor, out of bytes of its shard that hold FileRangeOf's: these themselves
// or, where they lie scattered, a copy in `gathered`. Of such a tensor `wanted` is whole rows.
std::span<const std::byte> ExtractBytes(const Checkpoint& checkpoint, size_t tensor,
                                        ByteRange wanted, const ShardBytes& read,
                                        std::vector<std::byte>& gathered);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_SCATTERED_BYTES_H_

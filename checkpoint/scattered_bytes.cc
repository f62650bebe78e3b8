#include "checkpoint/scattered_bytes.h"

#include <cassert>

namespace vernier::checkpoint {

bool LiesScattered(const Checkpoint& checkpoint, size_t tensor) {
  if (tensor == Checkpoint::kNotFound) return false;
  const StackPart* part = checkpoint.PartOf(tensor);
  return part != nullptr && !part->contiguous();
}

std::span<const std::byte> ExtractBytes(const Checkpoint& checkpoint, size_t tensor,
                                        ByteRange wanted, const ShardBytes& read,
                                        std::vector<std::byte>& gathered) {
  if (wanted.size() == 0) return {};
  const StoredRange covering = checkpoint.FileRangeOf(tensor, wanted.begin, wanted.end);
  assert(covering.begin >= read.begin && covering.end <= read.begin + read.bytes.size());
  const auto among = read.bytes.subspan(covering.begin - read.begin, covering.end - covering.begin);
  if (!LiesScattered(checkpoint, tensor)) return among;
  gathered.resize(wanted.size());
  GatherRows(*checkpoint.PartOf(tensor), wanted.begin, among, gathered);
  return gathered;
}

}  // namespace vernier::checkpoint

#include "calib/budget/gathering.h"

#include <algorithm>

#include "checkpoint/weight_decoder.h"

namespace vernier::calib {
namespace {

uint64_t BytesToGather(const checkpoint::Checkpoint& checkpoint, size_t tensor) {
  if (tensor == checkpoint::Checkpoint::kNotFound) return 0;
  const checkpoint::StackPart* part = checkpoint.PartOf(tensor);
  if (part == nullptr || !part->transposed) return 0;
  return part->slab_bytes() + checkpoint.tensor(tensor).info.Bytes();
}

}  // namespace

uint64_t GatheringBytes(const checkpoint::SourceModel& source) {
  uint64_t most = 0;
  for (const checkpoint::LogicalWeight& weight : source.layout.weights) {
    if (weight.role != checkpoint::Role::kRoutedExpert || weight.layer < 0) continue;
    most = std::max(most, BytesToGather(source.checkpoint, weight.main) +
                              BytesToGather(source.checkpoint, weight.scale));
  }
  return most;
}

}  // namespace vernier::calib

// Refuses NaN and infinity among the elements of a tensor.
#ifndef VERNIER_CHECKPOINT_VALUE_CHECKS_H_
#define VERNIER_CHECKPOINT_VALUE_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "checkpoint/checkpoint.h"

namespace vernier::checkpoint {

// kBadWeightValue: "element 5 is NaN".
[[noreturn]] void FailValue(const Checkpoint& checkpoint, size_t tensor, int64_t index,
                            std::string_view what);

// kBadWeightValue for the first bad element; `first` is the index of element 0 in the tensor.
void RefuseNonFinite(const Checkpoint& checkpoint, size_t tensor, int64_t first,
                     std::span<const float> values);
void RefuseNonFinite(const Checkpoint& checkpoint, size_t tensor, int64_t first,
                     std::span<const uint16_t> bf16_values);
void RefuseE4m3Nan(const Checkpoint& checkpoint, size_t tensor, int64_t first,
                   std::span<const uint8_t> codes);
void RefuseE8m0Nan(const Checkpoint& checkpoint, size_t tensor, int64_t first,
                   std::span<const uint8_t> codes);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_VALUE_CHECKS_H_

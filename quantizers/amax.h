// The largest magnitude of a tensor, and whether all its values are finite, in one pass.
#ifndef VERNIER_QUANTIZERS_AMAX_H_
#define VERNIER_QUANTIZERS_AMAX_H_

#include <cstdint>
#include <span>

namespace vernier::quantizers {

struct Amax {
  float value = 0;     // of the finite values; 0 of none
  bool finite = true;  // false: NaN or Inf is among the values

  void Merge(const Amax& other);
};

Amax FindAmax(std::span<const float> values);
Amax FindAmax(std::span<const uint16_t> bf16);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_AMAX_H_

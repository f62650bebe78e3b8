// The largest magnitude of a tensor, and whether all its values are finite, in one pass.
#ifndef VERNIER_QUANTIZERS_AMAX_H_
#define VERNIER_QUANTIZERS_AMAX_H_

#include "quantizers/real_span.h"

namespace vernier::quantizers {

struct Amax {
  float value = 0;     // of the finite values; 0 of none
  bool finite = true;  // false: NaN or Inf is among the values

  void Merge(const Amax& other);
};

Amax FindAmax(RealSpan values);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_AMAX_H_

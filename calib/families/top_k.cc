#include "calib/families/top_k.h"

#include <cassert>
#include <tuple>

namespace vernier::calib {

at::Tensor TopIndices(const at::Tensor& scores, int64_t k) {
  assert(k <= scores.size(-1));
  // Adding 0 turns -0 into 0, which a sort by bit patterns would tell apart.
  const auto sorted = at::sort(scores + 0.0, /*stable=*/true, /*dim=*/-1, /*descending=*/true);
  return std::get<1>(sorted).slice(-1, 0, k);
}

}  // namespace vernier::calib

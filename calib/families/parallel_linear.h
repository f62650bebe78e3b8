// Linear layers that read one input: modules of their own, or rows of one stored matrix.
#ifndef VERNIER_CALIB_FAMILIES_PARALLEL_LINEAR_H_
#define VERNIER_CALIB_FAMILIES_PARALLEL_LINEAR_H_

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "calib/families/linear_layer.h"

namespace vernier::calib {

class ParallelLinear {
 public:
  // A module a part.
  ParallelLinear(const TensorLoader& loader, const std::vector<std::string>& modules, bool bias);
  // One module: part i is as many of its rows as `rows[i]` says, in order.
  ParallelLinear(const TensorLoader& loader, const std::string& module,
                 const std::vector<int64_t>& rows, bool bias);

  // What the parts are applied to, for x [..., K] of `batch`'s tokens. Observes the input of each
  // module once.
  std::vector<at::Tensor> TakeInputs(const at::Tensor& x, const TokenBatch& batch, Tap& tap) const;
  // x [..., K], of the part's input -> [..., N] of the part, x's dtype.
  at::Tensor Apply(size_t part, const at::Tensor& x) const { return parts_[part].Apply(x); }

 private:
  bool fused_;
  std::vector<LinearLayer> parts_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_PARALLEL_LINEAR_H_

// A linear layer of a checkpoint, as most families use it.
#ifndef VERNIER_CALIB_FAMILIES_LINEAR_LAYER_H_
#define VERNIER_CALIB_FAMILIES_LINEAR_LAYER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>

#include "calib/families/decoder.h"
#include "calib/tap.h"
#include "calib/tensor_loader.h"

namespace vernier::calib {

class LinearLayer {
 public:
  // `module` + ".weight" and, with `bias`, ".bias", on the loader's device.
  LinearLayer(const TensorLoader& loader, std::string module, bool bias = false);

  // x [..., K] of `batch`'s tokens -> [..., N], x's dtype. Observes the input.
  at::Tensor Run(const at::Tensor& x, const TokenBatch& batch, Tap& tap) const {
    return Apply(TakeInput(x, batch, tap));
  }

  // The two halves of Run, for an input that is observed once and used in pieces.
  at::Tensor TakeInput(const at::Tensor& x, const TokenBatch& batch, Tap& tap) const;
  at::Tensor Apply(const at::Tensor& x) const;

  // Rows [begin, end) of it. They share its memory.
  LinearLayer Rows(int64_t begin, int64_t end) const;

 private:
  std::string module_;
  at::Tensor weight_;  // [N, K], compute dtype
  at::Tensor bias_;    // [N], compute dtype, or undefined
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_LINEAR_LAYER_H_

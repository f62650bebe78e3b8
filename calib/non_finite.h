// NaN and infinity among activations: where, and how many.
#ifndef VERNIER_CALIB_NON_FINITE_H_
#define VERNIER_CALIB_NON_FINITE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <span>

namespace vernier::calib {

struct NonFinite {
  int64_t row = 0;    // of the first such value, when the tensor is seen as [rows, columns]
  float value = 0;    // that value: NaN or an infinity
  int64_t count = 0;  // of such values
};

// What is wrong with `x` (floating, any shape and device, last dimension: columns); nothing when
// all values are finite. Waits for the device.
std::optional<NonFinite> FindNonFinite(const at::Tensor& x);

// Whether every value of every tensor is finite; empty and undefined tensors are. Waits for the
// device once.
bool AllFinite(std::span<const at::Tensor> tensors);
bool IsFinite(const at::Tensor& x);

// `x` with 0 for NaN and the largest finite values of its dtype for infinities.
at::Tensor ClampNonFinite(const at::Tensor& x);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_NON_FINITE_H_

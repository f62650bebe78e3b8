// NaN and infinity among activations: where, and how many.
#ifndef VERNIER_CALIB_NON_FINITE_H_
#define VERNIER_CALIB_NON_FINITE_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace vernier::calib {

struct BadValues {
  int64_t row = 0;    // of the first such value, when the tensor is seen as [rows, columns]
  float value = 0;    // that value: NaN or an infinity
  int64_t count = 0;  // of such values
};

// Rows of `x`, not empty, seen as [rows, columns].
inline int64_t Rows(const at::Tensor& x) { return x.numel() / x.size(-1); }

// What is wrong with `x` (floating, any shape and device, last dimension: columns); nothing when
// all values are finite. Waits for the device.
std::optional<BadValues> FindNonFinite(const at::Tensor& x);

// The sample of the first bad value of `x`. `samples` [tokens] (I64, on the host): the sample of
// each token of `x`, which has the same number of rows for each; undefined: 0.
int64_t SampleOf(const BadValues& found, const at::Tensor& x, const at::Tensor& samples);

// Whether every value of every tensor is finite; empty and undefined tensors are. Waits for the
// device once.
bool AllFinite(std::span<const at::Tensor> tensors);

// kBadActivation: `module` "has ..." a value that it should not have.
[[noreturn]] void ThrowBadActivation(std::string_view module, const std::string& problem);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_NON_FINITE_H_

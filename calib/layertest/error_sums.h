// Sums of squares from which the difference of two sets of outputs is told, added batch by batch.
#ifndef VERNIER_CALIB_LAYERTEST_ERROR_SUMS_H_
#define VERNIER_CALIB_LAYERTEST_ERROR_SUMS_H_

#include <ATen/ATen.h>

#include <array>
#include <cstdint>
#include <optional>

#include "calib/layertest/result.h"

namespace vernier::calib {

// Holds a few numbers on the device, in F64. Not thread-safe.
class ErrorSums {
 public:
  // Both [rows, N], of any floating dtype; on the device of earlier ones.
  void Add(const at::Tensor& reference, const at::Tensor& other);

  // Nothing when no row was added. Waits for the device.
  std::optional<ErrorStats> Stats() const;

 private:
  int64_t rows_ = 0;
  at::Tensor sums_;     // [4]: of y y', y^2, y'^2, (y - y')^2
  at::Tensor largest_;  // 0-d: |y - y'|
};

// One for each variant.
class VariantSums {
 public:
  ErrorSums& operator[](Variant variant) { return sums_[static_cast<size_t>(variant)]; }
  // Of variants without a row: nothing.
  StageErrors Errors() const;

 private:
  std::array<ErrorSums, kVariants> sums_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_LAYERTEST_ERROR_SUMS_H_

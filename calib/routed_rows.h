// Which rows of some tokens go to which routed expert.
#ifndef VERNIER_CALIB_ROUTED_ROWS_H_
#define VERNIER_CALIB_ROUTED_ROWS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

namespace vernier::calib {

// The choices of T tokens, sorted once by expert.
class RoutedRows {
 public:
  // Those of one expert, on the device.
  struct Rows {
    at::Tensor rows;     // [r] I64 in [0, T), ascending
    at::Tensor weights;  // [r, 1] F32

    int64_t count() const { return rows.size(0); }
    // Rows [begin, end) of these.
    Rows Slice(int64_t begin, int64_t end) const {
      return {rows.slice(0, begin, end), weights.slice(0, begin, end)};
    }
  };

  // `chosen` [T, k] I32: the experts of each token, or -1 for padding; `weights` [T, k] F32; both
  // on one device, where the rows will be. Waits for the device.
  RoutedRows(const at::Tensor& chosen, const at::Tensor& weights, int64_t experts);

  int64_t Count(int64_t expert) const {
    return begin_[static_cast<size_t>(expert) + 1] - begin_[static_cast<size_t>(expert)];
  }
  Rows Of(int64_t expert) const;
  // Whether no token chose an expert twice, as a table of a checkpoint might.
  bool Distinct() const { return distinct_; }

 private:
  at::Tensor rows_;     // of expert 0, then 1, ...
  at::Tensor weights_;  // [rows, 1]
  bool distinct_ = true;
  std::vector<int64_t> begin_;  // of each expert's rows; one more: the end
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_ROUTED_ROWS_H_

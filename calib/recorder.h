// Statistics of linear layers' inputs and of caches, kept on the device.
#ifndef VERNIER_CALIB_RECORDER_H_
#define VERNIER_CALIB_RECORDER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "calib/tap.h"
#include "run/store.h"

namespace vernier::calib {

// The largest magnitude of all rows so far, and their number. NaN, once seen, stays.
class RunningAmax {
 public:
  RunningAmax() = default;
  // Goes on from these.
  RunningAmax(at::Tensor amax, int64_t rows) : amax_(std::move(amax)), rows_(rows) {}

  // `x` [..., K], at least one row.
  void Add(const at::Tensor& x);

  const at::Tensor& amax() const { return amax_; }  // 0-d, on the device, dtype of the inputs
  int64_t rows() const { return rows_; }

 private:
  at::Tensor amax_;
  int64_t rows_ = 0;
};

// Holds the statistics of one layer at a time.
class Recorder final : public Tap {
 public:
  // `names`: the linear layers and caches that are wanted.
  explicit Recorder(std::span<const std::string> names);

  bool Wants(std::string_view name) const override { return wanted_.contains(name); }
  void Observe(const LinearSite& site, const at::Tensor& x) override { Record(site.module, x); }
  void ObserveCache(std::string_view entry, const at::Tensor& x) override { Record(entry, x); }
  bool Finite() const override;

  // What was observed in this layer so far, on the CPU, in order of names; those that got no row
  // are absent. A NaN or infinite amax is kBadActivation.
  std::vector<run::InputAmax> Inputs(int layer) const;
  // Goes on from what Inputs returned, on `device`.
  void Restore(std::span<const run::InputAmax> inputs, at::Device device);
  // Before the next layer.
  void Clear() { entries_.clear(); }

 private:
  void Record(std::string_view name, const at::Tensor& x);

  std::set<std::string, std::less<>> wanted_;
  std::map<std::string, RunningAmax, std::less<>> entries_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_RECORDER_H_

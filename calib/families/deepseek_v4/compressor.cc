#include "calib/families/deepseek_v4/compressor.h"

#include <limits>

#include "calib/families/linear.h"
#include "calib/families/rms_norm.h"

namespace vernier::calib::deepseek_v4 {
namespace {

// values [B, W, r, 2d] -> [B, W, 2r, d]: the slots that each entry draws on. `absent` stands where
// the first window has no predecessor.
at::Tensor OverlappingSlots(const at::Tensor& values, int64_t d, double absent) {
  const at::Tensor before = values.slice(1, 0, values.size(1) - 1).slice(-1, 0, d);
  const at::Tensor first =
      at::full({values.size(0), 1, values.size(2), d}, absent, values.options());
  return at::cat({at::cat({first, before}, 1), values.slice(-1, d)}, 2);
}

}  // namespace

Compressor::Compressor(const TensorLoader& loader, const std::string& prefix, double norm_eps)
    : wkv_(loader.Load(prefix + "wkv.weight")),
      wgate_(loader.Load(prefix + "wgate.weight")),
      ape_(loader.LoadExact(prefix + "ape")),
      norm_(loader.LoadExact(prefix + "norm.weight")),
      norm_eps_(norm_eps) {}

at::Tensor Compressor::Entries(const at::Tensor& x, const RopeTable& rope) const {
  const int64_t windows = x.size(1) / ratio();
  const int64_t d = norm_.size(0);
  if (windows == 0) return at::empty({x.size(0), 0, d}, x.options());

  const at::Tensor used = x.slice(1, 0, windows * ratio());
  const auto project = [&](const at::Tensor& w) {
    return Linear(used, w).to(at::kFloat).view({x.size(0), windows, ratio(), -1});
  };
  at::Tensor content = project(wkv_);
  at::Tensor gate = project(wgate_) + ape_;
  if (ape_.size(1) == 2 * d) {
    content = OverlappingSlots(content, d, 0.0);
    gate = OverlappingSlots(gate, d, -std::numeric_limits<double>::infinity());
  }
  const at::Tensor entries = (at::softmax(gate, 2) * content).sum(2);
  return Rotate(RmsNorm(entries, norm_, norm_eps_).to(x.scalar_type()),
                rope.Slice(0, windows * ratio(), ratio()), /*per_head=*/false);
}

}  // namespace vernier::calib::deepseek_v4

#include "calib/families/deepseek_v4/compressor.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "calib/families/linear.h"
#include "calib/families/rms_norm.h"
#include "checkpoint/families/deepseek_v4_names.h"

namespace vernier::calib::deepseek_v4 {
namespace {

namespace names = checkpoint::deepseek_v4;

// values [B, W, r, 2d] -> [B, W, 2r, d]: the slots that each entry draws on. `absent` stands where
// the first window has no predecessor.
at::Tensor OverlappingSlots(const at::Tensor& values, int64_t d, double absent) {
  const at::Tensor before = values.slice(1, 0, values.size(1) - 1).slice(-1, 0, d);
  const at::Tensor first =
      at::full({values.size(0), 1, values.size(2), d}, absent, values.options());
  return at::cat({at::cat({first, before}, 1), values.slice(-1, d)}, 2);
}

}  // namespace

at::Tensor Join(const at::Tensor& past, const at::Tensor& next) {
  return past.defined() ? at::cat({past, next}, 1) : next;
}

Compressor::Compressor(const TensorLoader& loader, const std::string& module,
                       const at::Tensor& rope_frequencies, double norm_eps)
    : wkv_(loader.Load(names::Below(module, names::kWkv) + ".weight")),
      wgate_(loader.Load(names::Below(module, names::kWgate) + ".weight")),
      ape_(loader.LoadExact(names::Below(module, names::kPositions))),
      norm_(loader.LoadExact(names::Below(module, names::kNorm) + ".weight")),
      rope_frequencies_(rope_frequencies),
      norm_eps_(norm_eps) {}

void Compressor::Append(const at::Tensor& x, Past& past) const {
  if (!past.entries.defined()) past.entries = at::empty({x.size(0), 0, norm_.size(0)}, x.options());
  past.content = Join(past.content, Linear(x, wkv_).to(at::kFloat));
  past.gate = Join(past.gate, Linear(x, wgate_).to(at::kFloat));

  // Of overlapping windows the last full one is kept for the next.
  const int64_t done = past.entries.size(1), before = overlaps() ? std::min<int64_t>(done, 1) : 0;
  const int64_t windows = past.content.size(1) / ratio();
  if (windows == before) return;
  const int64_t used = (windows - (overlaps() ? 1 : 0)) * ratio();
  const auto take_windows = [&](at::Tensor& rows) {
    const at::Tensor all = std::exchange(rows, rows.slice(1, used).clone());
    return all.slice(1, 0, windows * ratio()).unflatten(1, {windows, ratio()});
  };
  const at::Tensor entries =
      Compress(take_windows(past.content), take_windows(past.gate)).slice(1, before);
  const int64_t end = done + windows - before;
  const RopeTable rope =
      MakeRopeTable(rope_frequencies_, done * ratio(), end * ratio(), x.device());
  past.entries = Join(past.entries, Rotate(entries.to(x.scalar_type()),
                                           rope.Slice(0, (end - done) * ratio(), ratio()),
                                           /*per_head=*/false));
}

at::Tensor Compressor::Compress(at::Tensor content, at::Tensor gate) const {
  gate = gate + ape_;
  if (overlaps()) {
    const int64_t d = norm_.size(0);
    content = OverlappingSlots(content, d, 0.0);
    gate = OverlappingSlots(gate, d, -std::numeric_limits<double>::infinity());
  }
  return RmsNorm((at::softmax(gate, 2) * content).sum(2), norm_, norm_eps_);
}

}  // namespace vernier::calib::deepseek_v4

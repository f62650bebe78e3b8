#include "calib/non_finite.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "base/error.h"
#include "calib/largest_magnitude.h"

namespace vernier::calib {

std::optional<BadValues> FindNonFinite(const at::Tensor& x) {
  if (x.numel() == 0) return std::nullopt;
  const at::Tensor bad = at::isfinite(x).logical_not().reshape({-1}).nonzero();
  if (bad.size(0) == 0) return std::nullopt;
  const int64_t first = bad[0].item<int64_t>();
  return BadValues{.row = first / x.size(-1),
                   .value = x.reshape({-1})[first].item<float>(),
                   .count = bad.size(0)};
}

int64_t SampleOf(const BadValues& found, const at::Tensor& x, const at::Tensor& samples) {
  if (!samples.defined()) return 0;
  return samples[found.row * samples.size(0) / Rows(x)].item<int64_t>();
}

bool AllFinite(std::span<const at::Tensor> tensors) {
  // A statistic of each of many modules: looked at one by one they would be as many waits.
  constexpr int64_t kSmall = 4096;
  std::vector<at::Tensor> small, largest;
  for (const at::Tensor& x : tensors) {
    if (!x.defined() || x.numel() == 0) continue;
    if (x.numel() > kSmall) {
      largest.push_back(LargestMagnitude(x).reshape({1}));
    } else {
      small.push_back(x.reshape({-1}));
    }
  }
  if (!small.empty()) largest.push_back(LargestMagnitude(at::cat(small)).reshape({1}));
  if (largest.empty()) return true;
  // On the host: operators would be several for a few numbers.
  const at::Tensor all = at::cat(largest).to(at::kCPU, at::kDouble);
  return std::ranges::all_of(std::span(all.data_ptr<double>(), largest.size()),
                             [](double x) { return std::isfinite(x); });
}

void ThrowBadActivation(std::string_view module, const std::string& problem) {
  throw Error(ErrorCode::kBadActivation, module, problem,
              "Check the checkpoint with `vernier validate`, leave that sample out, or go on with "
              "--non-finite clamp");
}

}  // namespace vernier::calib

#include "calib/nvfp4_trial.h"

#include <algorithm>
#include <optional>

#include "calib/device_nvfp4.h"
#include "calib/encoded_weight.h"
#include "quantizers/nvfp4.h"

namespace vernier::calib {
namespace {

// To a largest of 1.
std::vector<float> Importance(const std::vector<double>& mean_squares) {
  const double largest = *std::ranges::max_element(mean_squares);
  std::vector<float> importance;
  for (const double square : mean_squares) {
    importance.push_back(largest > 0 ? static_cast<float>(square / largest) : 1.0f);
  }
  return importance;
}

}  // namespace

at::Tensor RoundTripWeight(const at::Tensor& weight, const std::vector<double>& mean_squares) {
  using quantizers::Nvfp4Search;
  const std::vector<float> importance = Importance(mean_squares);
  const float scale = quantizers::Nvfp4GlobalScale(AmaxOf(weight), Nvfp4Search::kMse);
  if (const std::optional<DeviceNvfp4> device = DeviceNvfp4::Find(weight.device())) {
    const at::Tensor counts = at::tensor(importance).to(weight.device());
    return Decode(device->Squares(weight, scale, counts), scale, weight.device());
  }
  const quantizers::Nvfp4Options options = {
      .global_scale = scale, .search = Nvfp4Search::kMse, .importance = importance};
  return Decode(Encode(weight.cpu(), options), scale, weight.device());
}

}  // namespace vernier::calib

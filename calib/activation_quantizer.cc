#include "calib/activation_quantizer.h"

#include "base/error.h"
#include "calib/round_trip.h"

namespace vernier::calib {

at::Tensor ActivationQuantizer::Replace(std::string_view module, const at::Tensor& x) {
  return RoundTrip(Of(module), x);
}

at::Tensor ActivationQuantizer::ReplaceCache(std::string_view entry, const at::Tensor& x) {
  const auto cache = caches_.find(entry);
  return cache == caches_.end() ? x : RoundTrip(cache->second, x);
}

const ActivationQuantization& ActivationQuantizer::Of(std::string_view module) {
  const auto known = modules_.find(module);
  if (known != modules_.end()) return known->second;
  const checkpoint::LogicalWeight* weight = model_->layout.FindModule(module);
  if (weight == nullptr) {
    throw Error(ErrorCode::kMissingTensor, module,
                "is not in " + model_->checkpoint.directory().string(),
                "Give a checkpoint of the same model");
  }
  return modules_
      .emplace(std::string(module), ReadActivationQuantization(model_->checkpoint, *weight))
      .first->second;
}

at::Tensor RoundTrip(const ActivationQuantization& quantization, const at::Tensor& x) {
  switch (quantization.format) {
    case ActivationFormat::kNvfp4:
      return RoundTripNvfp4(x, quantization.scale);
    case ActivationFormat::kFp8Tensor:
      return RoundTripFp8(x, quantization.scale);
    case ActivationFormat::kFp8Token:
      return RoundTripFp8Groups(x, x.size(-1), /*power_of_two=*/false);
    case ActivationFormat::kFp8Group:
      return RoundTripFp8Groups(x, quantization.group, quantization.power_of_two);
    case ActivationFormat::kUnquantized:
    case ActivationFormat::kNotEmulated:
      break;
  }
  return x;
}

}  // namespace vernier::calib

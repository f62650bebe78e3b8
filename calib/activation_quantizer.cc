#include "calib/activation_quantizer.h"

#include <algorithm>

#include "base/error.h"
#include "calib/round_trip.h"

namespace vernier::calib {
namespace {

using checkpoint::LogicalWeight;

bool HasStaticScale(const ActivationQuantization& found) {
  return found.format == ActivationFormat::kNvfp4 || found.format == ActivationFormat::kFp8Tensor;
}

// "layers.3.ffn.experts w2"; what is fused (w1 and w3) is one product. Empty for others.
std::string ProductOf(const LogicalWeight& weight) {
  if (weight.role != checkpoint::Role::kRoutedExpert || weight.expert < 0) return {};
  return weight.experts_module + " " + (weight.fused_group.empty() ? weight.projection : "");
}

// The largest scale of each product of a layer's experts (of all layers: -1).
std::map<std::string, float> LargestScales(const checkpoint::SourceModel& model, int layer) {
  std::map<std::string, float> largest;
  for (const LogicalWeight& weight : model.layout.weights) {
    if (layer >= 0 && weight.layer != layer) continue;
    const std::string product = ProductOf(weight);
    if (product.empty()) continue;
    const ActivationQuantization found = ReadActivationQuantization(model.checkpoint, weight);
    if (HasStaticScale(found)) largest[product] = std::max(largest[product], found.scale);
  }
  return largest;
}

}  // namespace

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
  return modules_.emplace(std::string(module), Read(*weight)).first->second;
}

ActivationQuantization ActivationQuantizer::Read(const LogicalWeight& weight) {
  ActivationQuantization found = ReadActivationQuantization(model_->checkpoint, weight);
  const bool merged = experts_ == ExpertInputScale::kLargest && HasStaticScale(found);
  if (merged && !ProductOf(weight).empty()) found.scale = LargestScale(weight);
  return found;
}

float ActivationQuantizer::LargestScale(const LogicalWeight& weight) {
  const std::string product = ProductOf(weight);
  if (!largest_.contains(product)) largest_.merge(LargestScales(*model_, weight.layer));
  return largest_.at(product);
}

int64_t CountRaisedScales(const checkpoint::SourceModel& model) {
  const std::map<std::string, float> largest = LargestScales(model, /*layer=*/-1);
  return std::ranges::count_if(model.layout.weights, [&](const LogicalWeight& weight) {
    const auto found = largest.find(ProductOf(weight));
    if (found == largest.end()) return false;
    const ActivationQuantization own = ReadActivationQuantization(model.checkpoint, weight);
    return HasStaticScale(own) && own.scale < found->second;
  });
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

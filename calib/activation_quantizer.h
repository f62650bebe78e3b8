// Runs a model with its activations quantised as engines quantise them.
#ifndef VERNIER_CALIB_ACTIVATION_QUANTIZER_H_
#define VERNIER_CALIB_ACTIVATION_QUANTIZER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "calib/activation_format.h"
#include "calib/kv_caches.h"
#include "calib/tap.h"
#include "checkpoint/source_model.h"

namespace vernier::calib {

// Observes nothing; replaces the input of each linear layer, and the keys and values of a
// quantised cache, by what is left of them after the quantisation that `model` asks for. A layer
// whose inputs are not emulated keeps them, as Of tells.
class ActivationQuantizer final : public Tap {
 public:
  // `model` must outlive it.
  explicit ActivationQuantizer(const checkpoint::SourceModel& model,
                               ExpertInputScale experts = ExpertInputScale::kLargest)
      : model_(&model), experts_(experts), caches_(ReadKvCaches(model)) {}

  at::Tensor Replace(std::string_view module, const at::Tensor& x) override;
  at::Tensor ReplaceCache(std::string_view entry, const at::Tensor& x) override;

  // What happens to a module's inputs; a module that the model lacks is kMissingTensor. Input
  // scales are read when their module is first met; where experts have the largest, all of a
  // layer's then.
  const ActivationQuantization& Of(std::string_view module);

 private:
  ActivationQuantization Read(const checkpoint::LogicalWeight& weight);
  float LargestScale(const checkpoint::LogicalWeight& weight);

  const checkpoint::SourceModel* model_;
  ExpertInputScale experts_;
  std::map<std::string, float> largest_;  // by product of a layer's experts
  std::map<std::string, ActivationQuantization, std::less<>> modules_;
  KvCaches caches_;
};

// Routed experts whose input scale is below the largest that counts for their layer's product.
int64_t CountRaisedScales(const checkpoint::SourceModel& model);

// The same for one input.
at::Tensor RoundTrip(const ActivationQuantization& quantization, const at::Tensor& x);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_ACTIVATION_QUANTIZER_H_

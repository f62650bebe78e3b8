// Runs a model with its activations quantised as engines quantise them.
#ifndef VERNIER_CALIB_ACTIVATION_QUANTIZER_H_
#define VERNIER_CALIB_ACTIVATION_QUANTIZER_H_

#include <ATen/ATen.h>

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
  explicit ActivationQuantizer(const checkpoint::SourceModel& model)
      : model_(&model), caches_(ReadKvCaches(model)) {}

  at::Tensor Replace(std::string_view module, const at::Tensor& x) override;
  at::Tensor ReplaceCache(std::string_view entry, const at::Tensor& x) override;

  // What happens to a module's inputs; a module that the model lacks is kMissingTensor. Input
  // scales are read when their module is first met.
  const ActivationQuantization& Of(std::string_view module);

 private:
  const checkpoint::SourceModel* model_;
  std::map<std::string, ActivationQuantization, std::less<>> modules_;
  KvCaches caches_;
};

// The same for one input.
at::Tensor RoundTrip(const ActivationQuantization& quantization, const at::Tensor& x);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_ACTIVATION_QUANTIZER_H_

// Finds where an activation went bad, in a unit of work that is run a second time for it.
#ifndef VERNIER_CALIB_BAD_INPUT_FINDER_H_
#define VERNIER_CALIB_BAD_INPUT_FINDER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string_view>

#include "calib/tap.h"

namespace vernier::calib {

// Wants everything, and throws kBadActivation at the first value that is not finite, naming module,
// layer, sample and value. Looking at every input waits for the device every time.
class BadInputFinder final : public Tap {
 public:
  // `samples` [tokens] (I64, on the host): the sample of each token that is observed.
  BadInputFinder(int64_t layer, at::Tensor samples);

  bool Wants(std::string_view) const override { return true; }
  void Observe(const LinearSite& site, const at::Tensor& x) override;
  void ObserveCache(std::string_view entry, const at::Tensor& x) override;

  // The same for hidden states or outputs, described by `what`.
  void Check(std::string_view module, std::string_view what, const at::Tensor& x) const;

 private:
  int64_t layer_;
  at::Tensor samples_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BAD_INPUT_FINDER_H_

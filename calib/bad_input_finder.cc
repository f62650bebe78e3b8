#include "calib/bad_input_finder.h"

#include <fmt/format.h>

#include <utility>

#include "calib/non_finite.h"

namespace vernier::calib {

BadInputFinder::BadInputFinder(int64_t layer, at::Tensor samples)
    : layer_(layer), samples_(std::move(samples)) {}

void BadInputFinder::Observe(const LinearSite& site, const at::Tensor& x) {
  Check(site.module, "an input", x);
}

void BadInputFinder::ObserveCache(std::string_view entry, const at::Tensor& x) {
  Check(entry, "an input", x);
}

void BadInputFinder::Check(std::string_view module, std::string_view what,
                           const at::Tensor& x) const {
  const auto found = FindNonFinite(x);
  if (!found) return;
  ThrowBadActivation(
      module, fmt::format("has {} of {} in layer {}, sample {} ({} such values in "
                          "its batch)",
                          what, found->value, layer_, SampleOf(*found, x, samples_), found->count));
}

}  // namespace vernier::calib

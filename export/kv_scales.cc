#include "export/kv_scales.h"

#include <algorithm>

#include "base/error.h"
#include "quantizers/fp8.h"

namespace vernier::exporter {

std::vector<KvScale> ResolveKvScales(const recipes::Plan& plan,
                                     const std::vector<run::InputAmax>& inputs) {
  std::vector<KvScale> scales;
  for (const checkpoint::KvCacheEntry& entry : plan.kv_entries) {
    if (!recipes::IsCalibrated(plan.kv_cache)) {
      scales.emplace_back();
      continue;
    }
    const auto found = std::ranges::find(inputs, entry.observed, &run::InputAmax::module);
    if (found == inputs.end() || found->tokens == 0) {
      throw Error(ErrorCode::kNotCalibrated, entry.observed, "the store has no statistics of it",
                  "Calibrate with this recipe before exporting");
    }
    scales.push_back(
        {.scale = quantizers::Fp8Scale(found->amax), .amax = found->amax, .tokens = found->tokens});
  }
  return scales;
}

}  // namespace vernier::exporter

#include "calib/input_observer.h"

#include <cmath>
#include <utility>

#include "base/error.h"

namespace vernier::calib {

InputObserver::InputObserver(std::span<const std::string> modules)
    : wanted_(modules.begin(), modules.end()) {}

bool InputObserver::Wants(std::string_view module) const { return wanted_.contains(module); }

void InputObserver::Observe(std::string_view module, const at::Tensor& x) {
  if (x.numel() == 0 || !Wants(module)) return;
  const at::Tensor amax = x.abs().amax();
  const int64_t tokens = x.numel() / x.size(-1);
  const auto entry = entries_.find(module);
  if (entry == entries_.end()) {
    entries_.emplace(module, Entry{amax, tokens});
    return;
  }
  // at::maximum keeps a NaN, whichever side it is on.
  entry->second.amax = at::maximum(entry->second.amax, amax);
  entry->second.tokens += tokens;
}

std::vector<InputAmax> InputObserver::Snapshot(int layer) {
  if (entries_.empty()) return {};
  std::vector<at::Tensor> device_values;
  device_values.reserve(entries_.size());
  for (const auto& [module, entry] : entries_) device_values.push_back(entry.amax.to(at::kFloat));
  const at::Tensor values = at::stack(device_values).cpu();  // one transfer for all
  const auto value = values.accessor<float, 1>();

  std::vector<InputAmax> inputs;
  inputs.reserve(entries_.size());
  for (const auto& [module, entry] : std::exchange(entries_, {})) {
    const float amax = value[static_cast<int64_t>(inputs.size())];
    if (!std::isfinite(amax)) {
      throw Error(
          ErrorCode::kBadActivation, module,
          "has an input of " + std::to_string(amax) + " in layer " + std::to_string(layer),
          "Check the checkpoint with `vernier validate`, then calibrate with other samples");
    }
    inputs.push_back({module, layer, amax, entry.tokens});
  }
  return inputs;
}

}  // namespace vernier::calib

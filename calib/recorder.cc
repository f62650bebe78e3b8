#include "calib/recorder.h"

#include <fmt/format.h>

#include <cmath>

#include "calib/non_finite.h"

namespace vernier::calib {

void RunningAmax::Add(const at::Tensor& x) {
  const at::Tensor amax = x.abs().amax();
  // at::maximum keeps a NaN, whichever side it is on.
  amax_ = amax_.defined() ? at::maximum(amax_, amax) : amax;
  rows_ += Rows(x);
}

Recorder::Recorder(std::span<const std::string> names) : wanted_(names.begin(), names.end()) {}

void Recorder::Record(std::string_view name, const at::Tensor& x) {
  if (x.numel() == 0 || !Wants(name)) return;
  auto entry = entries_.find(name);
  if (entry == entries_.end()) entry = entries_.emplace(name, RunningAmax()).first;
  entry->second.Add(x);
}

bool Recorder::Finite() const {
  std::vector<at::Tensor> values;
  for (const auto& [name, entry] : entries_) values.push_back(entry.amax().view({1}));
  return AllFinite(values);
}

std::vector<run::InputAmax> Recorder::Inputs(int layer) const {
  if (entries_.empty()) return {};
  std::vector<at::Tensor> device_values;
  device_values.reserve(entries_.size());
  for (const auto& [name, entry] : entries_) device_values.push_back(entry.amax().to(at::kFloat));
  const at::Tensor values = at::stack(device_values).cpu();  // one transfer for all
  const auto value = values.accessor<float, 1>();

  std::vector<run::InputAmax> inputs;
  inputs.reserve(entries_.size());
  for (const auto& [name, entry] : entries_) {
    const float amax = value[static_cast<int64_t>(inputs.size())];
    if (!std::isfinite(amax)) {
      ThrowBadActivation(name, fmt::format("has an input of {} in layer {}", amax, layer));
    }
    inputs.push_back({name, layer, amax, entry.rows()});
  }
  return inputs;
}

void Recorder::Restore(std::span<const run::InputAmax> inputs, at::Device device) {
  Clear();
  for (const run::InputAmax& input : inputs) {
    entries_.insert_or_assign(
        input.module,
        RunningAmax(at::scalar_tensor(input.amax, at::device(device).dtype(at::kFloat)),
                    input.tokens));
  }
}

}  // namespace vernier::calib

#include "calib/input_observer.h"

#include <fmt/format.h>

#include <cassert>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace vernier::calib {
namespace {

[[noreturn]] void Fail(std::string_view module, const std::string& problem) {
  throw Error(ErrorCode::kBadActivation, module, problem,
              "Check the checkpoint with `vernier validate`, leave that sample out, or go on with "
              "--non-finite clamp");
}

int64_t Rows(const at::Tensor& x) { return x.numel() / x.size(-1); }

}  // namespace

InputObserver::InputObserver(std::span<const std::string> modules, OnNonFinite on_non_finite)
    : wanted_(modules.begin(), modules.end()), on_non_finite_(on_non_finite) {}

bool InputObserver::Wants(std::string_view module) const { return wanted_.contains(module); }

void InputObserver::Observe(std::string_view module, const at::Tensor& x) {
  if (x.numel() == 0 || !Wants(module)) return;
  at::Tensor finite = x;
  if (clamps()) {
    if (const auto found = FindNonFinite(x)) {
      Record(module, *found, x);
      finite = x.masked_fill(at::isfinite(x).logical_not(), 0);
    }
  }
  const at::Tensor amax = finite.abs().amax();
  const auto entry = entries_.find(module);
  if (entry == entries_.end()) {
    entries_.emplace(module, Entry{amax, Rows(x)});
    return;
  }
  // at::maximum keeps a NaN, whichever side it is on.
  entry->second.amax = at::maximum(entry->second.amax, amax);
  entry->second.tokens += Rows(x);
}

at::Tensor InputObserver::Replace(std::string_view, const at::Tensor& x) { return x; }

at::Tensor InputObserver::ReplaceCache(std::string_view, const at::Tensor& x) { return x; }

at::Tensor InputObserver::Clamp(std::string_view module, const at::Tensor& x) {
  assert(clamps());
  const auto found = FindNonFinite(x);
  if (!found) return x;
  Record(module, *found, x);
  return ClampNonFinite(x);
}

int64_t InputObserver::SampleOf(int64_t row, int64_t rows) const {
  if (!samples_.defined()) return 0;
  return samples_[row * samples_.size(0) / rows].item<int64_t>();
}

void InputObserver::Record(std::string_view module, const NonFinite& found, const at::Tensor& x) {
  const auto [it, is_new] = non_finites_.try_emplace(
      std::string(module), run::NonFiniteRecord{.module = std::string(module),
                                                .sample = SampleOf(found.row, Rows(x)),
                                                .value = fmt::format("{}", found.value)});
  it->second.count += found.count;
}

bool InputObserver::Finite() const {
  std::vector<at::Tensor> values;
  for (const auto& [module, entry] : entries_) values.push_back(entry.amax.view({1}));
  return AllFinite(values);
}

std::vector<run::InputAmax> InputObserver::Inputs(int layer) const {
  if (entries_.empty()) return {};
  std::vector<at::Tensor> device_values;
  device_values.reserve(entries_.size());
  for (const auto& [module, entry] : entries_) device_values.push_back(entry.amax.to(at::kFloat));
  const at::Tensor values = at::stack(device_values).cpu();  // one transfer for all
  const auto value = values.accessor<float, 1>();

  std::vector<run::InputAmax> inputs;
  inputs.reserve(entries_.size());
  for (const auto& [module, entry] : entries_) {
    const float amax = value[static_cast<int64_t>(inputs.size())];
    if (!std::isfinite(amax))
      Fail(module, fmt::format("has an input of {} in layer {}", amax, layer));
    inputs.push_back({module, layer, amax, entry.tokens});
  }
  return inputs;
}

std::vector<run::NonFiniteRecord> InputObserver::NonFinites(int layer) const {
  std::vector<run::NonFiniteRecord> records;
  for (const auto& [module, record] : non_finites_) {
    records.push_back(record);
    records.back().layer = layer;
  }
  return records;
}

void InputObserver::Clear() {
  entries_.clear();
  non_finites_.clear();
}

std::vector<run::InputAmax> InputObserver::Snapshot(int layer) {
  std::vector<run::InputAmax> inputs = Inputs(layer);
  Clear();
  return inputs;
}

void InputObserver::Restore(std::span<const run::InputAmax> inputs,
                            std::span<const run::NonFiniteRecord> non_finites, at::Device device) {
  Clear();
  for (const run::InputAmax& input : inputs) {
    entries_[input.module] = {at::scalar_tensor(input.amax, at::device(device).dtype(at::kFloat)),
                              input.tokens};
  }
  for (const run::NonFiniteRecord& record : non_finites) non_finites_[record.module] = record;
}

BadInputFinder::BadInputFinder(int64_t layer, at::Tensor samples)
    : InputObserver({}), layer_(layer) {
  SetSamples(std::move(samples));
}

void BadInputFinder::Observe(std::string_view module, const at::Tensor& x) {
  Check(module, "an input", x);
}

void BadInputFinder::Check(std::string_view module, std::string_view what,
                           const at::Tensor& x) const {
  const auto found = FindNonFinite(x);
  if (!found) return;
  Fail(module,
       fmt::format("has {} of {} in layer {}, sample {} ({} such values in its batch)", what,
                   found->value, layer_, SampleOf(found->row, Rows(x)), found->count));
}

}  // namespace vernier::calib

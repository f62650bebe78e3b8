#include "calib/non_finite_guard.h"

#include <fmt/format.h>

#include "calib/non_finite.h"

namespace vernier::calib {

void NonFiniteGuard::Observe(const LinearSite& site, const at::Tensor& x) {
  tap_.Observe(site, Counted(site.module, x));
}

void NonFiniteGuard::ObserveCache(std::string_view entry, const at::Tensor& x) {
  tap_.ObserveCache(entry, Counted(entry, x));
}

at::Tensor NonFiniteGuard::Counted(std::string_view name, const at::Tensor& x) {
  if (!RecordNonFinite(name, x)) return x;
  return x.masked_fill(at::isfinite(x).logical_not(), 0);
}

at::Tensor NonFiniteGuard::Clamp(std::string_view name, const at::Tensor& x) {
  return RecordNonFinite(name, x) ? at::nan_to_num(x) : x;
}

bool NonFiniteGuard::IsGood(std::span<const at::Tensor> computed) const {
  return clamps() || AllFinite(computed);
}

bool NonFiniteGuard::RecordNonFinite(std::string_view name, const at::Tensor& x) {
  if (!clamps() || !x.defined()) return false;
  const auto found = FindNonFinite(x);
  if (!found) return false;
  const auto [it, is_new] = records_.try_emplace(
      std::string(name), run::NonFiniteRecord{.module = std::string(name),
                                              .sample = SampleOf(*found, x, samples_),
                                              .value = fmt::format("{}", found->value)});
  it->second.count += found->count;
  return true;
}

std::vector<run::NonFiniteRecord> NonFiniteGuard::NonFinites(int layer) const {
  std::vector<run::NonFiniteRecord> records;
  for (const auto& [name, record] : records_) {
    records.push_back(record);
    records.back().layer = layer;
  }
  return records;
}

void NonFiniteGuard::Restore(std::span<const run::NonFiniteRecord> records) {
  Clear();
  for (const run::NonFiniteRecord& record : records) records_[record.module] = record;
}

}  // namespace vernier::calib

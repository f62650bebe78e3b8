#include "calib/recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "calib/non_finite.h"

namespace vernier::calib {
namespace {

// The elements of all, as the payloads hold them. Those of one number, nearly all there are, come
// from the device in one transfer.
std::vector<at::Tensor> ToHost(const std::vector<at::Tensor>& values) {
  const auto is_single = [](const at::Tensor& value) {
    return value.numel() == 1 && value.scalar_type() == at::kFloat;
  };
  std::vector<at::Tensor> singles;
  std::ranges::copy_if(values, std::back_inserter(singles), is_single);
  const at::Tensor together = singles.empty() ? at::Tensor() : at::cat(singles).cpu();
  std::vector<at::Tensor> host;
  int64_t next = 0;
  for (const at::Tensor& value : values) {
    host.push_back(is_single(value) ? together.narrow(0, next++, 1) : value.cpu().contiguous());
  }
  return host;
}

statistics::Bytes BytesOf(const at::Tensor& elements) {
  const auto* bytes = static_cast<const std::byte*>(elements.data_ptr());
  return {bytes, bytes + elements.nbytes()};
}

at::Tensor ElementsOf(const statistics::Value& value, const Observer& observer, at::Device device) {
  at::Tensor elements =
      at::empty({static_cast<int64_t>(value.payload.size() / observer.statistic.element_bytes)},
                at::dtype(observer.element));
  std::ranges::copy(value.payload, static_cast<std::byte*>(elements.data_ptr()));
  return elements.to(device);
}

void RequireFinite(const at::Tensor& elements, std::string_view name, int layer) {
  if (!elements.is_floating_point()) return;
  if (const auto found = FindNonFinite(elements)) {
    ThrowBadActivation(name, fmt::format("has an input of {} in layer {}", found->value, layer));
  }
}

}  // namespace

void Running::Add(const Observer& observer, const at::Tensor& x) {
  const at::Tensor added = observer.observe(x);
  elements = elements.defined() ? observer.join(elements, added) : added;
  rows += x.size(0);
}

Recorder::Recorder(std::span<const std::string> names, std::vector<Observer> observers)
    : wanted_(names.begin(), names.end()), observers_(std::move(observers)) {}

void Recorder::Observe(const LinearSite& site, const at::Tensor& x) {
  Record(statistics::Site::kLinearInput, site.module, x);
}

void Recorder::ObserveCache(std::string_view entry, const at::Tensor& x) {
  Record(statistics::Site::kCache, entry, x);
}

void Recorder::Record(statistics::Site site, std::string_view name, const at::Tensor& x) {
  if (x.numel() == 0 || !Wants(name)) return;
  auto entry = entries_.find(name);
  if (entry == entries_.end()) {
    entry = entries_.emplace(name, std::vector<Running>(observers_.size())).first;
  }
  const at::Tensor rows = x.flatten(0, -2);
  for (size_t i = 0; i < observers_.size(); ++i) {
    if (observers_[i].statistic.site == site) entry->second[i].Add(observers_[i], rows);
  }
}

template <class Visit>
void Recorder::ForEach(Visit visit) const {
  for (const auto& [name, statistics] : entries_) {
    for (size_t i = 0; i < statistics.size(); ++i) {
      if (statistics[i].rows > 0) visit(name, observers_[i], statistics[i]);
    }
  }
}

bool Recorder::Finite() const {
  std::vector<at::Tensor> values;
  ForEach([&](const std::string&, const Observer&, const Running& running) {
    if (running.elements.is_floating_point()) values.push_back(running.elements);
  });
  return AllFinite(values);
}

std::vector<run::StatisticRow> Recorder::Rows(int layer) const {
  std::vector<at::Tensor> device_values;
  ForEach([&](const std::string&, const Observer& observer, const Running& running) {
    device_values.push_back(running.elements.to(observer.element));
  });
  const std::vector<at::Tensor> values = ToHost(device_values);
  std::vector<run::StatisticRow> rows;
  ForEach([&](const std::string& name, const Observer& observer, const Running& running) {
    const at::Tensor& elements = values[rows.size()];
    RequireFinite(elements, name, layer);
    rows.push_back({.unit = layer,
                    .module = name,
                    .name = std::string(observer.statistic.name),
                    .version = observer.statistic.version,
                    .bytes = statistics::ToBytes({running.rows, BytesOf(elements)})});
  });
  return rows;
}

void Recorder::Restore(std::span<const run::StatisticRow> rows, at::Device device) {
  Clear();
  std::vector<statistics::Statistic> known;
  for (const Observer& observer : observers_) known.push_back(observer.statistic);
  for (const run::StatisticRow& row : rows) {
    const statistics::Statistic& statistic =
        statistics::RequireStatistic(known, row.name, row.version, row.module);
    const size_t place = static_cast<size_t>(&statistic - known.data());
    std::vector<Running>& entry =
        entries_.try_emplace(row.module, std::vector<Running>(observers_.size())).first->second;
    const statistics::Value value = statistics::Parse(statistic, row.bytes, row.module);
    entry[place] = {ElementsOf(value, observers_[place], device), value.tokens};
  }
}

}  // namespace vernier::calib

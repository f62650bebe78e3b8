#include "calib/recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <numeric>
#include <utility>

#include "calib/budget/loop_constants.h"
#include "calib/non_finite.h"

namespace vernier::calib {
namespace {

// Flat values on the host. Those of a type come from the device in one transfer.
std::vector<at::Tensor> ToHost(const std::vector<at::Tensor>& values) {
  std::map<at::ScalarType, std::vector<at::Tensor>> by_type;
  for (const at::Tensor& value : values) by_type[value.scalar_type()].push_back(value);
  std::map<at::ScalarType, at::Tensor> left;
  for (const auto& [type, all] : by_type) left[type] = at::cat(all).cpu();
  std::vector<at::Tensor> host;
  for (const at::Tensor& value : values) {
    at::Tensor& rest = left[value.scalar_type()];
    host.push_back(rest.slice(0, 0, value.numel()));
    rest = rest.slice(0, value.numel());
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

void Running::Add(const Observer& observer, const at::Tensor& x,
                  std::span<const int64_t> sequences) {
  const statistics::Statistic& statistic = observer.statistic;
  if (statistic.is_sum && statistic.elements(static_cast<size_t>(x.size(1))) == 0) return;
  rows += x.size(0);
  if (statistic.is_sum) return AddSum(observer, x, sequences);
  const at::Tensor added = observer.observe(x);
  elements = elements.defined() ? observer.join(elements, added) : added;
}

void Running::AddSum(const Observer& observer, const at::Tensor& x,
                     std::span<const int64_t> sequences) {
  const auto zeros = [&] {
    const size_t count = observer.statistic.elements(static_cast<size_t>(x.size(1)));
    return at::zeros({static_cast<int64_t>(count)}, x.options().dtype(observer.element));
  };
  if (!elements.defined()) elements = zeros();
  if (sequences.empty()) return AddTo(observer, x, elements);
  if (observer.whole_sequences) return KeepRows(x, sequences);
  const size_t together = x.is_cpu() ? 1 : static_cast<size_t>(kLeastEqualBatch);
  int64_t begin = 0;
  for (size_t first = 0; first < sequences.size(); first += together) {
    const auto some = sequences.subspan(first, std::min(together, sequences.size() - first));
    const int64_t end = std::accumulate(some.begin(), some.end(), begin);
    const size_t place = first / together;
    if (of_batch.size() == place) of_batch.push_back(zeros());
    if (end > begin) AddTo(observer, x.slice(0, begin, end), of_batch[place]);
    begin = end;
  }
  assert(begin == x.size(0));
}

void Running::KeepRows(const at::Tensor& x, std::span<const int64_t> sequences) {
  rows_of_batch.resize(std::max(rows_of_batch.size(), sequences.size()));
  int64_t begin = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const int64_t end = begin + sequences[i];
    if (end > begin) rows_of_batch[i].push_back(x.slice(0, begin, end).clone());
    begin = end;
  }
  assert(begin == x.size(0));
}

void Running::AddTo(const Observer& observer, const at::Tensor& x, const at::Tensor& sums) {
  observer.add(x, added, sums);
  added += x.size(0);
}

void Running::EndBatch(const Observer& observer) {
  for (const at::Tensor& sums : of_batch) elements.add_(sums);
  of_batch.clear();
  for (const std::vector<at::Tensor>& parts : rows_of_batch) {
    if (!parts.empty()) AddTo(observer, parts.size() == 1 ? parts[0] : at::cat(parts), elements);
  }
  rows_of_batch.clear();
}

Recorder::Recorder(std::span<const std::string> names, std::vector<Observer> observers)
    : wanted_(names.begin(), names.end()), observers_(std::move(observers)) {}

void Recorder::Observe(const LinearSite& site, const at::Tensor& x) {
  Record(statistics::Site::kLinearInput, site.module, x, site.sequences);
}

void Recorder::ObserveCache(std::string_view entry, const at::Tensor& x) {
  Record(statistics::Site::kCache, entry, x, /*sequences=*/{});
}

void Recorder::EndBatch() {
  for (auto& [name, statistics] : entries_) {
    for (size_t i = 0; i < statistics.size(); ++i) statistics[i].EndBatch(observers_[i]);
  }
}

void Recorder::Record(statistics::Site site, std::string_view name, const at::Tensor& x,
                      std::span<const int64_t> sequences) {
  if (x.numel() == 0 || !Wants(name)) return;
  std::vector<Running>& entry = EntryOf(name, site);
  const at::Tensor rows = x.flatten(0, -2);
  for (size_t i = 0; i < observers_.size(); ++i) {
    if (entry[i].kept) entry[i].Add(observers_[i], rows, sequences);
  }
}

std::vector<Running>& Recorder::EntryOf(std::string_view name, statistics::Site site) {
  const auto found = entries_.find(name);
  if (found != entries_.end()) return found->second;
  std::vector<Running>& entry = entries_[std::string(name)];
  for (const Observer& observer : observers_) {
    const statistics::Statistic& statistic = observer.statistic;
    entry.emplace_back().kept = statistic.site == site && (!keeps_ || keeps_(name, statistic));
  }
  return entry;
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
  ForEach([&](const std::string&, const Observer& observer, const Running& running) {
    if (observer.statistic.is_sum || !running.elements.is_floating_point()) return;
    values.push_back(running.elements);
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

std::optional<Recorder::Taken> Recorder::Take(std::string_view name, std::string_view statistic) {
  const auto entry = entries_.find(name);
  const auto observer = std::ranges::find(observers_, statistic,
                                          [](const Observer& each) { return each.statistic.name; });
  if (entry == entries_.end() || observer == observers_.end()) return std::nullopt;
  Running& running = entry->second[static_cast<size_t>(observer - observers_.begin())];
  if (running.rows == 0) return std::nullopt;
  return Taken{std::exchange(running.elements, {}), std::exchange(running.rows, 0)};
}

void Recorder::Restore(std::span<const run::StatisticRow> rows, at::Device device) {
  Clear();
  std::vector<statistics::Statistic> known;
  for (const Observer& observer : observers_) known.push_back(observer.statistic);
  for (const run::StatisticRow& row : rows) {
    const statistics::Statistic& statistic =
        statistics::RequireStatistic(known, row.name, row.version, row.module);
    const size_t place = static_cast<size_t>(&statistic - known.data());
    Running& running = EntryOf(row.module, statistic.site)[place];
    const statistics::Value value = statistics::Parse(statistic, row.bytes, row.module);
    running.elements = ElementsOf(value, observers_[place], device);
    running.rows = running.added = value.tokens;
  }
}

}  // namespace vernier::calib

#include "calib/recorder.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include "calib/budget/loop_constants.h"
#include "calib/non_finite.h"

namespace vernier::calib {
namespace {

// Flat values on the host. Small ones of a type come from the device in one transfer.
std::vector<at::Tensor> ToHost(const std::vector<at::Tensor>& values) {
  constexpr size_t kSmall = 1 << 20;
  const auto is_small = [](const at::Tensor& value) { return value.nbytes() <= kSmall; };
  std::map<at::ScalarType, std::vector<at::Tensor>> by_type;
  for (const at::Tensor& value : values) {
    if (is_small(value)) by_type[value.scalar_type()].push_back(value);
  }
  std::map<at::ScalarType, at::Tensor> left;
  for (const auto& [type, all] : by_type) left[type] = at::cat(all).cpu();
  std::vector<at::Tensor> host;
  for (const at::Tensor& value : values) {
    if (!is_small(value)) {
      host.push_back(value.cpu());
      continue;
    }
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

// Of elements on the host. By one thread: libtorch would divide them among all, and wait for those
// that the machine has given to readers of weights, which takes longer than the layer's products.
template <class Real>
std::optional<Real> FirstNonFinite(const at::Tensor& elements) {
  const std::span all(elements.data_ptr<Real>(), static_cast<size_t>(elements.numel()));
  const auto bad = std::ranges::find_if(all, [](Real x) { return !std::isfinite(x); });
  return bad == all.end() ? std::nullopt : std::optional(*bad);
}

void RequireFinite(const at::Tensor& elements, std::string_view name, int layer) {
  const auto refuse = [&](const auto& bad) {
    if (!bad) return;
    ThrowBadActivation(name, fmt::format("has an input of {} in layer {}", *bad, layer));
  };
  if (elements.scalar_type() == at::kFloat) return refuse(FirstNonFinite<float>(elements));
  if (elements.scalar_type() == at::kDouble) return refuse(FirstNonFinite<double>(elements));
  assert(!elements.is_floating_point());
}

// What looks at x once for everything that it can make, if there is such a thing.
std::optional<DeviceStatistics> LookingAt(const at::Tensor& x) {
  const bool known = x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kFloat;
  return known ? DeviceStatistics::Find(x.device()) : std::nullopt;
}

bool IsLookedAt(const Observer& observer, const at::Tensor& x) {
  return observer.one_look != OneLook::kNo && LookingAt(x).has_value();
}

// Whether a sum is the same however rows are cut into calls: where it is made row by row, unless it
// wants whole sequences.
bool TakesAnyRows(const Observer& observer, const at::Tensor& x) {
  return IsLookedAt(observer, x) || (x.is_cpu() && !observer.whole_sequences);
}

at::Tensor& TargetOf(OneLook what, DeviceStatistics::Targets& targets) {
  switch (what) {
    case OneLook::kNo:
      break;
    case OneLook::kAmax:
      return targets.amax;
    case OneLook::kChannelAmax:
      return targets.channel_amax;
    case OneLook::kSquares:
      return targets.squares;
    case OneLook::kBlockHessian:
      return targets.triangles;
  }
  std::abort();
}

// Rows of each part of a batch whose sums are kept apart.
std::vector<int64_t> PartsOf(std::span<const int64_t> sequences, bool on_cpu) {
  const size_t together = on_cpu ? 1 : static_cast<size_t>(kLeastEqualBatch);
  std::vector<int64_t> parts;
  for (size_t first = 0; first < sequences.size(); first += together) {
    const auto some = sequences.subspan(first, std::min(together, sequences.size() - first));
    parts.push_back(std::accumulate(some.begin(), some.end(), int64_t{0}));
  }
  return parts;
}

// Of `rows` of which only maxima are made: as many as keep a device busy.
std::vector<int64_t> AnyParts(int64_t rows) {
  constexpr int64_t kRows = 512;
  std::vector<int64_t> parts(static_cast<size_t>(rows / kRows), kRows);
  if (rows % kRows != 0) parts.push_back(rows % kRows);
  return parts;
}

}  // namespace

void Running::Observe(const Observer& observer, const at::Tensor& x) {
  rows += x.size(0);
  const at::Tensor seen = observer.observe(x);
  elements = elements.defined() ? observer.join(elements, seen) : seen;
}

at::Tensor Running::Target(const Observer& observer, const at::Tensor& x, size_t parts) {
  const auto columns = static_cast<size_t>(x.size(1));
  const bool sum = observer.statistic.is_sum, channels = observer.one_look == OneLook::kChannelAmax;
  const auto count = static_cast<int64_t>(sum        ? observer.statistic.elements(columns)
                                          : channels ? columns
                                                     : 1);
  if (count == 0) return {};
  at::Tensor& target = parts > 0 ? of_batch : elements;
  if (!target.defined()) {
    target = at::zeros({static_cast<int64_t>(std::max<size_t>(parts, 1)), count},
                       x.options().dtype(observer.element));
    if (parts == 0) target = target.flatten();
  }
  assert(parts == 0 || target.size(0) == static_cast<int64_t>(parts));
  return target;
}

void Running::AddSequences(const Observer& observer, const at::Tensor& x,
                           std::span<const int64_t> sequences) {
  const std::vector<int64_t> parts = PartsOf(sequences, x.is_cpu());
  const at::Tensor sums = Target(observer, x, parts.size());
  if (!sums.defined()) return;
  int64_t begin = 0;
  for (size_t i = 0; i < parts.size(); begin += parts[i++]) {
    if (parts[i] == 0) continue;
    const at::Tensor rows = x.slice(0, begin, begin + parts[i]);
    observer.add(rows, added, sums.select(0, static_cast<int64_t>(i)));
    added += parts[i];
  }
  assert(begin == x.size(0));
}

void Running::AddRows(const Observer& observer, const at::Tensor& x) {
  const at::Tensor sums = Target(observer, x);
  if (!sums.defined()) return;
  observer.add(x, added, sums);
  added += x.size(0);
}

void Running::EndBatch(const Observer& observer) {
  if (!of_batch.defined()) return;
  const at::Tensor parts = std::exchange(of_batch, {});
  if (!elements.defined()) elements = at::zeros({parts.size(1)}, parts.options());
  const auto device = DeviceStatistics::Find(parts.device());
  if (device && observer.one_look != OneLook::kNo) {
    return device->AddParts(parts, elements);
  }
  for (int64_t i = 0; i < parts.size(0); ++i) elements.add_(parts.select(0, i));
}

Recorder::Recorder(std::span<const std::string> names, std::vector<Observer> observers)
    : wanted_(names.begin(), names.end()), observers_(std::move(observers)) {}

void Recorder::ShareInputs(std::span<const std::string> names) {
  if (names.size() < 2) return;
  std::vector<std::string>& modules = sharing_[names[0]];
  modules.assign(names.begin(), names.end());
  for (const std::string& name : names) entry_names_[name] = names[0];
}

std::string_view Recorder::EntryName(std::string_view module) const {
  const auto found = entry_names_.find(module);
  return found == entry_names_.end() ? module : std::string_view(found->second);
}

std::vector<std::string> Recorder::ModulesOf(std::string_view entry) const {
  const auto found = sharing_.find(entry);
  return found == sharing_.end() ? std::vector{std::string(entry)} : found->second;
}

void Recorder::Observe(const LinearSite& site, const at::Tensor& x) {
  Record(statistics::Site::kLinearInput, site.module, x, site.sequences);
}

void Recorder::ObserveCache(std::string_view entry, const at::Tensor& x) {
  Record(statistics::Site::kCache, entry, x, /*sequences=*/{});
}

void Recorder::ObserveBlock(std::string_view block, const at::Tensor& shares) {
  Record(statistics::Site::kBlock, block, shares, /*sequences=*/{});
}

void Recorder::Record(statistics::Site site, std::string_view name, const at::Tensor& x,
                      std::span<const int64_t> sequences) {
  if (x.numel() == 0 || !Wants(name) || EntryName(name) != name) return;
  Entry& entry = EntryOf(name, site);
  const at::Tensor rows = x.flatten(0, -2);
  if (const auto device = LookingAt(rows)) LookOnce(*device, entry, rows, sequences);
  for (size_t i = 0; i < observers_.size(); ++i) {
    Running& running = entry.statistics[i];
    if (!running.kept || observers_[i].statistic.is_sum || IsLookedAt(observers_[i], rows))
      continue;
    running.Observe(observers_[i], rows);
  }
  if (sequences.empty()) {
    RecordRows(entry, rows);
  } else {
    RecordSequences(entry, rows, sequences);
  }
}

void Recorder::LookOnce(const DeviceStatistics& device, Entry& entry, const at::Tensor& x,
                        std::span<const int64_t> sequences) {
  std::vector<int64_t> parts = PartsOf(sequences, /*on_cpu=*/false);
  DeviceStatistics::Targets targets;
  bool wanted = false, sums = false;
  for (size_t i = 0; i < observers_.size(); ++i) {
    const Observer& observer = observers_[i];
    Running& running = entry.statistics[i];
    if (!running.kept || observer.one_look == OneLook::kNo) continue;
    const bool sum = observer.statistic.is_sum;
    running.rows += x.size(0);
    const at::Tensor target = running.Target(observer, x, sum ? parts.size() : 0);
    wanted = wanted || target.defined();
    sums = sums || (sum && target.defined());
    TargetOf(observer.one_look, targets) = target;
  }
  if (!sums) {
    parts = AnyParts(x.size(0));
  } else if (parts.empty()) {
    parts = {x.size(0)};
  }
  if (wanted) device.Look(x, parts, targets);
}

template <class Use>
void Recorder::ForSums(Entry& entry, Use use) {
  for (size_t i = 0; i < observers_.size(); ++i) {
    if (entry.statistics[i].kept && observers_[i].statistic.is_sum) {
      use(observers_[i], entry.statistics[i]);
    }
  }
}

void Recorder::RecordSequences(Entry& entry, const at::Tensor& x,
                               std::span<const int64_t> sequences) {
  bool whole = false;
  ForSums(entry, [&](const Observer& observer, Running& running) {
    if (IsLookedAt(observer, x)) return;
    running.rows += x.size(0);
    whole = whole || observer.whole_sequences;
    if (!observer.whole_sequences) running.AddSequences(observer, x, sequences);
  });
  if (!whole) return;
  std::vector<std::vector<at::Tensor>>& waiting = entry.waiting.of_batch;
  waiting.resize(std::max(waiting.size(), sequences.size()));
  int64_t begin = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const int64_t end = begin + sequences[i];
    if (end > begin) waiting[i].push_back(x.slice(0, begin, end).clone());
    begin = end;
  }
}

// Sums take kSumRows of an expert's rows at a time, and what is left behind the last.
void Recorder::RecordRows(Entry& entry, const at::Tensor& x) {
  bool waits = false;
  ForSums(entry, [&](const Observer& observer, Running& running) {
    if (IsLookedAt(observer, x)) return;
    running.rows += x.size(0);
    if (TakesAnyRows(observer, x)) {
      running.AddRows(observer, x);
    } else {
      waits = true;
    }
  });
  if (!waits) return;
  at::Tensor& rest = entry.waiting.rest;
  const at::Tensor rows = rest.defined() ? at::cat({rest, x}) : x;
  const int64_t whole = rows.size(0) / kSumRows * kSumRows;
  for (int64_t begin = 0; begin < whole; begin += kSumRows) {
    AddToWaiting(entry, rows.slice(0, begin, begin + kSumRows));
  }
  rest = whole < rows.size(0) ? rows.slice(0, whole).clone() : at::Tensor();
}

void Recorder::AddToWaiting(Entry& entry, const at::Tensor& rows) {
  ForSums(entry, [&](const Observer& observer, Running& running) {
    if (!TakesAnyRows(observer, rows)) running.AddRows(observer, rows);
  });
}

// Rows were shown in a pass; who asks for sums may be outside of one.
void Recorder::AddRest(Entry& entry) {
  const c10::InferenceMode inference;
  const at::Tensor rest = std::exchange(entry.waiting.rest, {});
  if (rest.defined()) AddToWaiting(entry, rest);
}

void Recorder::EndBatch() {
  for (auto& [name, entry] : entries_) {
    ForSums(entry, [](const Observer& observer, Running& running) { running.EndBatch(observer); });
    for (const std::vector<at::Tensor>& parts : std::exchange(entry.waiting.of_batch, {})) {
      if (parts.empty()) continue;
      const at::Tensor x = parts.size() == 1 ? parts[0] : at::cat(parts);
      ForSums(entry, [&](const Observer& observer, Running& running) {
        if (observer.whole_sequences) running.AddRows(observer, x);
      });
    }
  }
}

Recorder::Entry& Recorder::EntryOf(std::string_view name, statistics::Site site) {
  const auto found = entries_.find(name);
  if (found != entries_.end()) return found->second;
  Entry& entry = entries_[std::string(name)];
  for (const Observer& observer : observers_) {
    const statistics::Statistic& statistic = observer.statistic;
    entry.statistics.emplace_back().kept = statistic.site == site && IsKeptForAny(name, statistic);
  }
  return entry;
}

bool Recorder::IsKept(std::string_view name, const statistics::Statistic& statistic) const {
  return !keeps_ || keeps_(name, statistic);
}

bool Recorder::IsKeptForAny(std::string_view entry, const statistics::Statistic& statistic,
                            std::string_view except) const {
  return std::ranges::any_of(ModulesOf(entry), [&](const std::string& module) {
    return module != except && IsKept(module, statistic);
  });
}

template <class Visit>
void Recorder::ForEach(Visit visit) const {
  for (const auto& [name, entry] : entries_) {
    for (size_t i = 0; i < observers_.size(); ++i) {
      const Running& running = entry.statistics[i];
      if (running.elements.defined()) visit(name, observers_[i], running);
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

std::vector<run::StatisticRow> Recorder::Rows(int layer) {
  for (auto& [name, entry] : entries_) AddRest(entry);
  std::vector<at::Tensor> device_values;
  ForEach([&](const std::string&, const Observer& observer, const Running& running) {
    device_values.push_back(running.elements.to(observer.element));
  });
  const std::vector<at::Tensor> values = ToHost(device_values);
  std::vector<run::StatisticRow> rows;
  auto elements = values.begin();
  ForEach([&](const std::string& name, const Observer& observer, const Running& running) {
    RequireFinite(*elements, name, layer);
    const statistics::Bytes bytes = statistics::ToBytes({running.rows, BytesOf(*elements++)});
    for (const std::string& module : ModulesOf(name)) {
      if (!IsKept(module, observer.statistic)) continue;
      rows.push_back({.unit = layer,
                      .module = module,
                      .name = std::string(observer.statistic.name),
                      .version = observer.statistic.version,
                      .bytes = bytes});
    }
  });
  std::ranges::stable_sort(rows, {}, &run::StatisticRow::module);
  return rows;
}

Recorder::Found Recorder::FindComplete(std::string_view name, std::string_view statistic) {
  const auto entry = entries_.find(EntryName(name));
  const auto observer = std::ranges::find(observers_, statistic,
                                          [](const Observer& each) { return each.statistic.name; });
  if (entry == entries_.end() || observer == observers_.end()) return {};
  AddRest(entry->second);
  return {&*observer,
          &entry->second.statistics[static_cast<size_t>(observer - observers_.begin())]};
}

std::optional<Recorder::Taken> Recorder::Look(std::string_view name, std::string_view statistic) {
  const Running* running = FindComplete(name, statistic).running;
  if (running == nullptr || !running->elements.defined()) return std::nullopt;
  return Taken{running->elements, running->rows};
}

std::optional<Recorder::Taken> Recorder::Take(std::string_view name, std::string_view statistic) {
  const auto [observer, running] = FindComplete(name, statistic);
  if (running == nullptr) return std::nullopt;
  if (IsKeptForAny(EntryName(name), observer->statistic, /*except=*/name)) {
    return Look(name, statistic);
  }
  running->kept = false;
  if (!running->elements.defined()) return std::nullopt;
  return Taken{std::exchange(running->elements, {}), std::exchange(running->rows, 0)};
}

uint64_t Recorder::Bytes() const {
  uint64_t bytes = 0;
  ForEach([&](const std::string& name, const Observer&, const Running& running) {
    bytes += running.elements.nbytes() * ModulesOf(name).size();
  });
  return bytes;
}

void Recorder::Restore(std::span<const run::StatisticRow> rows, at::Device device) {
  Clear();
  std::vector<statistics::Statistic> known;
  for (const Observer& observer : observers_) known.push_back(observer.statistic);
  for (const run::StatisticRow& row : rows) {
    const statistics::Statistic& statistic =
        statistics::RequireStatistic(known, row.name, row.version, row.module);
    const size_t place = static_cast<size_t>(&statistic - known.data());
    Running& running = EntryOf(EntryName(row.module), statistic.site).statistics[place];
    const statistics::Value value = statistics::Parse(statistic, row.bytes, row.module);
    running.elements = ElementsOf(value, observers_[place], device);
    running.rows = running.added = value.tokens;
  }
}

}  // namespace vernier::calib

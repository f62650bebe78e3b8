// Statistics of linear layers' inputs and of caches, kept on the device.
#ifndef VERNIER_CALIB_RECORDER_H_
#define VERNIER_CALIB_RECORDER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "calib/observer.h"
#include "calib/tap.h"
#include "run/statistic_rows.h"

namespace vernier::calib {

// One statistic of all rows so far. NaN, once seen, stays.
struct Running {
  at::Tensor elements;  // flat, on the device; undefined before the first row
  int64_t rows = 0;
  bool kept = false;  // whether there is anything to add at all
  int64_t added = 0;  // rows that a sum has
  // Sums of the batch under way [parts, elements]: of each sequence, on a device that is not the
  // CPU of kLeastEqualBatch sequences.
  at::Tensor of_batch = {};

  // `x` [rows, K], at least one row.
  void Observe(const Observer& observer, const at::Tensor& x);
  // Where rows of inputs like `x` go, zeros at first: undefined where the statistic is of none
  // such. With `parts` of a batch: [parts, elements], which wait for EndBatch.
  at::Tensor Target(const Observer& observer, const at::Tensor& x, size_t parts = 0);
  // Of `sequences` as LinearSite has them: waits for EndBatch.
  void AddSequences(const Observer& observer, const at::Tensor& x,
                    std::span<const int64_t> sequences);
  // Rows that follow those before.
  void AddRows(const Observer& observer, const at::Tensor& x);
  // Adds the batch's sums, in order of sequences: so that results do not depend on which sequences
  // and which positions of them came together.
  void EndBatch(const Observer& observer);
};

// Rows that wait until sums that depend on it can take them in one way, however they came.
struct WaitingRows {
  std::vector<std::vector<at::Tensor>> of_batch;  // of each sequence, some positions each
  at::Tensor rest;                                // of a routed expert: fewer than kSumRows
};

// Holds the statistics of one layer at a time: of each place all that are observed at its site.
class Recorder final : public Tap {
 public:
  // `names`: the linear layers, caches and blocks that are wanted.
  explicit Recorder(std::span<const std::string> names,
                    std::vector<Observer> observers = MakeObservers(statistics::All()));

  // Of what is observed at a site only what `keeps` says is kept; without it all.
  using Keeps = std::function<bool(std::string_view name, const statistics::Statistic& statistic)>;
  void KeepOnly(Keeps keeps) { keeps_ = std::move(keeps); }
  // Linear layers that always see one input: what one of them is shown is taken in once, and is a
  // row of each.
  void ShareInputs(std::span<const std::string> names);

  bool Wants(std::string_view name) const override { return wanted_.contains(name); }
  void Observe(const LinearSite& site, const at::Tensor& x) override;
  void ObserveCache(std::string_view entry, const at::Tensor& x) override;
  void ObserveBlock(std::string_view block, const at::Tensor& shares) override;
  void EndBatch() override;
  bool Finite() const override;

  // What was observed in this layer so far, on the CPU, in order of names; those that got no row
  // are absent. A NaN or infinite element is kBadActivation.
  std::vector<run::StatisticRow> Rows(int layer);
  // Of all that Rows would return.
  uint64_t Bytes() const;
  // Goes on from what Rows returned, on `device`. kStoreCorrupt for a statistic that is not among
  // the observers: a newer program saved it.
  void Restore(std::span<const run::StatisticRow> rows, at::Device device);
  // One statistic of a module, all of whose rows were seen; nothing when it has no row. Take ends
  // it: no more is recorded, unless it is kept for another module with the same input.
  struct Taken {
    at::Tensor elements;
    int64_t rows = 0;
  };
  std::optional<Taken> Look(std::string_view name, std::string_view statistic);
  std::optional<Taken> Take(std::string_view name, std::string_view statistic);
  // Before the next layer.
  void Clear() { entries_.clear(); }

 private:
  // What is kept of a module or cache.
  struct Entry {
    std::vector<Running> statistics;  // by observer
    WaitingRows waiting;
  };

  void Record(statistics::Site site, std::string_view name, const at::Tensor& x,
              std::span<const int64_t> sequences);
  // Everything that `device` can make of x.
  void LookOnce(const DeviceStatistics& device, Entry& entry, const at::Tensor& x,
                std::span<const int64_t> sequences);
  void RecordSequences(Entry& entry, const at::Tensor& x, std::span<const int64_t> sequences);
  void RecordRows(Entry& entry, const at::Tensor& x);
  // Calls `use` with observer and Running of each sum that is kept.
  template <class Use>
  void ForSums(Entry& entry, Use use);
  void AddToWaiting(Entry& entry, const at::Tensor& rows);
  void AddRest(Entry& entry);
  // Calls `visit` with name, observer and Running of everything that has rows.
  template <class Visit>
  void ForEach(Visit visit) const;

  // Null where the module was not seen or nobody observes it.
  struct Found {
    const Observer* observer = nullptr;
    Running* running = nullptr;
  };
  Found FindComplete(std::string_view name, std::string_view statistic);

  // A module's or cache's, nothing kept at first.
  Entry& EntryOf(std::string_view name, statistics::Site site);
  bool IsKept(std::string_view name, const statistics::Statistic& statistic) const;
  // Whether it is kept for a module of the entry that is not `except`.
  bool IsKeptForAny(std::string_view entry, const statistics::Statistic& statistic,
                    std::string_view except = {}) const;
  // Whose entry is the module's.
  std::string_view EntryName(std::string_view module) const;
  // The modules whose input an entry is of.
  std::vector<std::string> ModulesOf(std::string_view entry) const;

  std::set<std::string, std::less<>> wanted_;
  std::map<std::string, std::string, std::less<>> entry_names_;  // of modules that share an input
  std::map<std::string, std::vector<std::string>, std::less<>> sharing_;  // by entry
  Keeps keeps_;
  std::vector<Observer> observers_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_RECORDER_H_

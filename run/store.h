// The calibration store: one SQLite file per run with everything that a resume or an export needs.
// No torch. docs/store.md describes the tables.
#ifndef VERNIER_RUN_STORE_H_
#define VERNIER_RUN_STORE_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "run/export_record.h"
#include "run/fold_record.h"
#include "run/format_error_record.h"
#include "run/identity.h"
#include "run/input_amax.h"
#include "run/layer_record.h"
#include "run/non_finite_record.h"
#include "run/solved_weight.h"
#include "run/statistic_rows.h"

namespace vernier::run {

// What is committed when a layer ends, in one transaction.
struct LayerResult {
  int layer = 0;
  double seconds = 0;
  std::vector<StatisticRow> statistics;  // of unit `layer`
  ActivationCheckpoint activations;
  std::vector<NonFiniteRecord> non_finites = {};
  // Beside those of saves within the layer.
  std::vector<SolvedWeight> solved = {};
  std::vector<FoldRecord> folds = {};
  std::vector<recipes::FormatError> format_errors = {};
};

inline constexpr std::string_view kStoreFileName = "vernier.sqlite";
inline constexpr std::string_view kLockFileName = "vernier.lock";

// Holds the run directory's lock while open. Not thread-safe: one thread at a time uses it. What a
// call wrote is on the disk when it returns. Any call may throw kNoSpace or kStoreCorrupt. Once
// closed, the store is one file.
class Store {
 public:
  // Opens or creates `run_dir`/vernier.sqlite (kStoreLocked when another process has it,
  // kStoreCorrupt when it is no store of a known version). One of the previous version is migrated.
  static Store Open(const std::filesystem::path& run_dir);
  // The same, but kNotCalibrated when there is no store: for export.
  static Store OpenExisting(const std::filesystem::path& run_dir);
  // Opens the store of a run directory, or a store file, without the lock and without writing
  // anything, also while another process has it. Only calls that are const may be made. Errors:
  // kNotCalibrated when there is no store, kStoreCorrupt. One of the previous version is read as it
  // is now, in memory.
  static Store OpenForReading(const std::filesystem::path& path);

  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

  const std::filesystem::path& run_dir() const;
  // For the tables that have files of their own beside this one.
  const Database& database() const;

  RunIdentity Identity() const;
  // kStoreIdentity, with the differing fields side by side (IdentityDifferences), unless the store
  // has no identity yet or one that allows `identity`.
  void CheckIdentity(const RunIdentity& identity) const;
  // The same, and records `identity` in a store that has none.
  void RequireIdentity(const RunIdentity& identity);

  // Calibration. `layers` is how many there will be: only told to people.
  void SetTotalLayers(int64_t layers);
  std::optional<int64_t> TotalLayers() const;
  // Layers are committed in order, from 0. Nothing: no layer is stored.
  std::optional<int> LastLayer() const;
  // The newest layer's; nothing before the first layer and after FinishCalibration.
  std::optional<ActivationCheckpoint> LatestActivations() const;
  // kStoreCorrupt unless the layer follows the last one and calibration is not finished.
  void CommitLayer(const LayerResult& result);
  // Layers that follow each other, together: only of the last one activations are needed.
  void CommitLayers(std::span<const LayerResult> results);
  // Marks calibration as complete. The activation checkpoint is no longer needed.
  void FinishCalibration();
  // CommitLayers and FinishCalibration at once: no activations are needed.
  void CommitLastLayers(std::span<const LayerResult> results);
  bool CalibrationFinished() const;
  // The amax values among the statistics, by layer, then module.
  std::vector<InputAmax> Inputs() const;

  // Export. `plan_hash` is what the shards were made from: those of other plans are not returned.
  // Where they lie is not recorded; whoever reuses one compares its hash. A shard committed again
  // replaces its record.
  std::vector<ShardRecord> FinishedShards(const std::string& plan_hash) const;
  void CommitShard(const std::string& plan_hash, const ShardRecord& shard);

  // A log of what happened when, for people.
  void LogEvent(std::string_view kind, std::string_view detail);

 private:
  void AddLayers(std::span<const LayerResult> results);
  void RequireNext(int layer) const;

  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vernier::run

#endif  // VERNIER_RUN_STORE_H_

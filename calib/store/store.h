// The calibration store: one SQLite file per run with everything that a resume or an export needs.
// No torch. docs/store.md describes the tables.
#ifndef VERNIER_CALIB_STORE_STORE_H_
#define VERNIER_CALIB_STORE_STORE_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vernier::calib {

// What a run's statistics depend on: field name -> value (hashes, canonical JSON, numbers as text).
using RunIdentity = std::map<std::string, std::string>;

// Statistics of one module's input over all observed tokens.
struct InputAmax {
  std::string module;  // "layers.0.ffn.experts.3.w1"
  int layer = 0;
  float amax = 0;      // largest |x|; 0 when no token was seen
  int64_t tokens = 0;  // rows observed
};

// The hidden states of all samples behind one layer, in a file of the run directory.
struct ActivationCheckpoint {
  std::string file_name;
  uint64_t bytes = 0;
  std::string hash;  // XXH3-128 of the file
};

// What is committed when a layer ends, in one transaction.
struct LayerResult {
  int layer = 0;
  double seconds = 0;
  std::vector<InputAmax> inputs;
  ActivationCheckpoint activations;
};

// An output shard that was finished.
struct ShardRecord {
  std::string file_name;
  uint64_t bytes = 0;
  std::string hash;  // XXH3-128 of the file
  // MXFP4 blocks that were cast, those re-encoded, and those whose values changed: kept here,
  // because a resumed export does not see the blocks of a finished shard again.
  int64_t cast_blocks = 0;
  int64_t cast_requantised = 0;
  int64_t cast_inexact = 0;
};

struct PhaseRecord {
  std::string phase;
  double seconds = 0;
};

// Holds the run directory's lock while open. Not thread-safe: one thread at a time uses it. What a
// call wrote is on the disk when it returns. Any call may throw kNoSpace or kStoreCorrupt.
class Store {
 public:
  // Opens or creates `run_dir`/vernier.sqlite (kStoreLocked when another process has it,
  // kStoreCorrupt when it is no store of a known version).
  static Store Open(const std::filesystem::path& run_dir);
  // The same, but kNotCalibrated when there is no store: for export and status.
  static Store OpenExisting(const std::filesystem::path& run_dir);

  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

  const std::filesystem::path& run_dir() const;

  // Records the identity in an empty store. In one that has an identity, every field given must
  // be equal: kStoreIdentity lists the differing fields with both values.
  void RequireIdentity(const RunIdentity& identity);

  // Calibration. Layers are committed in order, from 0. Nothing: no layer is stored.
  std::optional<int> LastLayer() const;
  // The newest layer's; nothing before the first layer and after FinishCalibration.
  std::optional<ActivationCheckpoint> LatestActivations() const;
  // kStoreCorrupt unless the layer follows the last one and calibration is not finished.
  void CommitLayer(const LayerResult& result);
  // Marks calibration as complete. The activation checkpoint is no longer needed.
  void FinishCalibration();
  bool CalibrationFinished() const;
  std::vector<InputAmax> Inputs() const;  // ordered by layer, then module

  // Export. `output` is the absolute output directory, `plan_hash` what the shards were made from:
  // other pairs' records are not returned. A shard committed again replaces its record.
  std::vector<ShardRecord> FinishedShards(const std::string& output,
                                          const std::string& plan_hash) const;
  void CommitShard(const std::string& output, const std::string& plan_hash,
                   const ShardRecord& shard);

  // Times of phases, added up over resumes; and a log of what happened when.
  void AddPhaseSeconds(std::string_view phase, double seconds);
  std::vector<PhaseRecord> Phases() const;
  void LogEvent(std::string_view kind, std::string_view detail);

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_STORE_STORE_H_

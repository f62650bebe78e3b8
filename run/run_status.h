// What a store says about its run: what is done, what is left, and what a copy of it needs.
#ifndef VERNIER_RUN_RUN_STATUS_H_
#define VERNIER_RUN_RUN_STATUS_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "run/export_record.h"
#include "run/non_finite_record.h"
#include "run/partial_layer.h"
#include "run/run_log.h"
#include "run/store.h"

namespace vernier::run {

struct FinishedLayer {
  int layer = 0;
  double seconds = 0;
  std::string finished_at;  // UTC, as the store writes it
};

// A file of the run directory without which a copy cannot be continued.
struct NeededFile {
  std::string name;
  bool present = false;
};

struct RunStatus {
  std::filesystem::path run_dir;
  std::optional<int64_t> holder;  // process that has the run directory now, 0: unknown which
  bool calibration_finished = false;
  std::optional<int64_t> total_layers;  // nothing: no calibration was begun
  std::vector<FinishedLayer> layers;
  std::optional<PartialLayer> partial;
  int64_t statistics = 0;           // modules and caches with an amax
  int64_t cache_statistics = 0;     // those of them that are of keys and values in the cache
  std::vector<std::string> unseen;  // those of them that saw no token
  std::vector<NonFiniteRecord> non_finite;
  std::vector<ExportRecord> exports;
  std::vector<PhaseRecord> phases;
  std::optional<CommandRecord> command;  // the newest
  std::vector<NeededFile> files;
};

// One moment's state, also of a store that another process is writing. Errors: as Store.
RunStatus ReadRunStatus(const Store& store);

// What the newest command still has to do, such as "layers 3 to 5", "2 shards (1.5 GiB)" or
// "validate", in the order of its steps; nothing when it has finished.
std::vector<std::string> WorkLeft(const RunStatus& status);

}  // namespace vernier::run

#endif  // VERNIER_RUN_RUN_STATUS_H_

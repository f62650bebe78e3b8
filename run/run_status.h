// What a store says about its run: what is done, what is left, and what a copy of it needs.
#ifndef VERNIER_RUN_RUN_STATUS_H_
#define VERNIER_RUN_RUN_STATUS_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "run/export_record.h"
#include "run/non_finite_record.h"
#include "run/partial_layer.h"
#include "run/run_log.h"
#include "run/store.h"

namespace vernier::run {

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
  std::map<std::string, int64_t> statistics;  // of finished layers, by name: "input_amax"
  std::vector<std::string> unseen;            // modules of which one of them saw no token
  int64_t solved = 0;                         // weights that calibration quantised
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

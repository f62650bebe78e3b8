#include "run/run_status.h"

#include <fmt/format.h>

#include <set>

#include "base/text.h"
#include "run/lock_file.h"
#include "run/run_files.h"
#include "run/solved_weight.h"
#include "run/sqlite.h"

namespace vernier::run {
namespace {

// The store first, then the others by name.
std::vector<NeededFile> FilesToCopy(const Store& store) {
  std::set<std::string> others = NeededFiles(store);
  // What was committed since the last clean close is still in the log.
  const std::string log = std::string(kStoreFileName) + "-wal";
  if (std::filesystem::exists(store.run_dir() / log)) others.insert(log);
  std::vector<NeededFile> files = {{std::string(kStoreFileName), true}};
  for (const std::string& name : others) {
    files.push_back({name, std::filesystem::exists(store.run_dir() / name)});
  }
  return files;
}

bool HasStep(const CommandRecord& command, std::string_view step) {
  return (" " + command.steps + " ").find(fmt::format(" {} ", step)) != std::string::npos;
}

std::string LayersLeft(const RunStatus& status) {
  if (!status.total_layers) return "calibrate";
  const int64_t first = static_cast<int64_t>(status.layers.size());
  const int64_t last = *status.total_layers - 1;
  if (first > last) return "the end of calibration";
  return first == last ? fmt::format("layer {}", last)
                       : fmt::format("layers {} to {}", first, last);
}

// The export that the newest command began.
const ExportRecord* CurrentExport(const RunStatus& status) {
  if (status.exports.empty()) return nullptr;
  const ExportRecord& newest = status.exports.back();
  return newest.started_at >= status.command->started_at ? &newest : nullptr;
}

std::string ShardsLeft(const ExportRecord& record) {
  const int64_t shards = record.shards - record.shards_done;
  if (shards <= 0) return "the small files of the output";
  return fmt::format("{} {} ({})", shards, shards == 1 ? "shard" : "shards",
                     HumanBytes(record.bytes - record.bytes_done));
}

}  // namespace

RunStatus ReadRunStatus(const Store& store) {
  const Database& database = store.database();
  database.Execute("BEGIN");
  RunStatus status{.run_dir = store.run_dir(),
                   .holder = LockHolder(store.run_dir() / kLockFileName),
                   .calibration_finished = store.CalibrationFinished(),
                   .total_layers = store.TotalLayers(),
                   .layers = FinishedLayers(database),
                   .partial = LoadPartialLayer(store),
                   .statistics = CountStatistics(database),
                   .unseen = ModulesWithoutTokens(database),
                   .solved = CountSolvedWeights(database),
                   .non_finite = LoadNonFinite(database),
                   .exports = Exports(database),
                   .phases = Phases(database),
                   .command = LastCommand(database),
                   .files = {}};
  status.files = FilesToCopy(store);
  database.Execute("COMMIT");
  return status;
}

std::vector<std::string> WorkLeft(const RunStatus& status) {
  std::vector<std::string> left;
  if (!status.command) return left;
  const CommandRecord& command = *status.command;
  if (command.outcome == CommandOutcomeName(CommandOutcome::kFinished)) return left;
  if (HasStep(command, "calibrate") && !status.calibration_finished) {
    left.push_back(LayersLeft(status));
  }
  const ExportRecord* record = CurrentExport(status);
  if (HasStep(command, "export") && (record == nullptr || record->finished_at.empty())) {
    left.push_back(record == nullptr ? "export" : ShardsLeft(*record));
  }
  if (HasStep(command, "validate") && (record == nullptr || record->audited_at.empty())) {
    left.push_back("validate");
  }
  return left;
}

}  // namespace vernier::run

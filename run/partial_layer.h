// How far an unfinished layer has come: what a resume inside a layer needs.
#ifndef VERNIER_RUN_PARTIAL_LAYER_H_
#define VERNIER_RUN_PARTIAL_LAYER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "run/fold_record.h"
#include "run/format_error_record.h"
#include "run/non_finite_record.h"
#include "run/solved_weight.h"
#include "run/statistic_rows.h"
#include "run/store.h"

namespace vernier::run {

extern const char kPartialLayerTables[];

// A file of the run directory with one tensor per sample.
struct SavedPart {
  std::string part;       // what it holds: "hidden", "sum", ...
  std::string file_name;  // in the run directory
  int64_t first = 0;      // samples [first, first + samples) are saved
  int64_t samples = 0;
  std::string hash;  // of those samples (SampleBuffer::Hash)
};

// A place between two units of work of one layer. The statistics so far are those of the unit
// `layer` (StatisticsOfUnit).
struct PartialLayer {
  int layer = 0;
  std::string stage;   // "dense", "experts" or "finish"
  int64_t next = 0;    // the first sample (of "experts": the first expert) that is not done
  double seconds = 0;  // spent on the layer
  std::vector<NonFiniteRecord> non_finites;
  std::vector<SavedPart> parts;
};

// Nothing when no layer is under way. Store::CommitLayer removes it.
std::optional<PartialLayer> LoadPartialLayer(const Store& store);

// The files that belong to it.
std::vector<SavedPart> SavedParts(const Database& database);

// What a layer's inputs have decided.
struct Decided {
  std::vector<SolvedWeight> solved = {};
  std::vector<FoldRecord> folds = {};
  std::vector<recipes::FormatError> format_errors = {};
};

// Replaces what was saved before, in one transaction, and adds what was `decided` since. The files
// of parts must be durable already.
void SavePartialLayer(const Store& store, const PartialLayer& partial,
                      std::span<const StatisticRow> statistics, const Decided& decided = {});

// Forgets it, and what was decided in it: the layer begins anew.
void DiscardPartialLayer(const Store& store);

// Empties the tables of an unfinished layer, but for what was decided, within the caller's
// transaction.
void ClearPartialLayer(const Database& database);

}  // namespace vernier::run

#endif  // VERNIER_RUN_PARTIAL_LAYER_H_

// The tables `layer` and `calibration`: how far a calibration has come, layer by layer.
#ifndef VERNIER_RUN_LAYER_RECORD_H_
#define VERNIER_RUN_LAYER_RECORD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vernier::run {

class Database;

extern const char kLayerTables[];

// The hidden states of all samples behind one layer, in a file of the run directory.
struct ActivationCheckpoint {
  std::string file_name;
  uint64_t bytes = 0;
  std::string hash;  // XXH3-128 of the file
};

struct FinishedLayer {
  int layer = 0;
  double seconds = 0;
  std::string finished_at;  // UTC, as the store writes it
};

// Adds the row of a layer, within the caller's transaction.
void InsertLayer(const Database& database, int layer, double seconds,
                 const ActivationCheckpoint& activations);
// Layers are finished in order, from 0. Nothing: no layer is.
std::optional<int> LastLayer(const Database& database);
// Of the last layer.
std::optional<ActivationCheckpoint> LastActivations(const Database& database);
std::vector<FinishedLayer> FinishedLayers(const Database& database);  // in order

void SetTotalLayers(const Database& database, int64_t layers);
std::optional<int64_t> TotalLayers(const Database& database);
void SetFinished(const Database& database);
bool IsFinished(const Database& database);

}  // namespace vernier::run

#endif  // VERNIER_RUN_LAYER_RECORD_H_

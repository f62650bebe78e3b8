// The statistics of a store as a file for other programs.
#ifndef VERNIER_RUN_AMAX_FILE_H_
#define VERNIER_RUN_AMAX_FILE_H_

#include <filesystem>

#include "base/json.h"
#include "calib/statistics/registry.h"
#include "run/store.h"

namespace vernier::run {

// {"format": "vernier.amax", "version": 1, "finished": bool, "identity": {field: text}, "inputs":
// [{"module", "layer", "amax", "tokens"}, ...]}, inputs by layer and module. Numbers are written
// so that reading them gives the same FP32 values. A store with other statistics than amax has
// "statistics" too: [{"statistic", "version", "module", "layer", "tokens", ...}, ...] by layer,
// module and name, each with the fields of its kind. kStoreCorrupt for a statistic that is not in
// `registry`: a newer program made it.
Json AmaxJson(const Store& store, statistics::Registry registry = statistics::AllStatistics());

// The same as safetensors: per module an F32 scalar "<module>.input_amax" and an I64 scalar
// "<module>.tokens", and likewise what other statistics name; everything else is text in the file's
// metadata. One value is in memory at a time. Errors: as above, kFileOpen, kFileWrite, kNoSpace.
void WriteAmaxSafetensors(const Store& store, const std::filesystem::path& path,
                          statistics::Registry registry = statistics::AllStatistics());

}  // namespace vernier::run

#endif  // VERNIER_RUN_AMAX_FILE_H_

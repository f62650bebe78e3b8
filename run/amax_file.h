// The statistics of a store as a file for other programs.
#ifndef VERNIER_RUN_AMAX_FILE_H_
#define VERNIER_RUN_AMAX_FILE_H_

#include <filesystem>

#include "base/json.h"
#include "run/store.h"

namespace vernier::run {

// {"format": "vernier.amax", "version": 1, "finished": bool, "identity": {field: text}, "inputs":
// [{"module", "layer", "amax", "tokens"}, ...]}, inputs by layer and module. Numbers are written
// so that reading them gives the same FP32 values.
Json AmaxJson(const Store& store);

// The same as safetensors: per module an F32 scalar "<module>.input_amax" and an I64 scalar
// "<module>.tokens"; everything else is text in the file's metadata. Errors: kFileOpen, kFileWrite,
// kNoSpace.
void WriteAmaxSafetensors(const Store& store, const std::filesystem::path& path);

}  // namespace vernier::run

#endif  // VERNIER_RUN_AMAX_FILE_H_

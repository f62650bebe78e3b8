// Writes output shards: finished or absent.
#ifndef VERNIER_EXPORT_SHARD_WRITER_H_
#define VERNIER_EXPORT_SHARD_WRITER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/file.h"
#include "calib/store/store.h"
#include "checkpoint/source_model.h"
#include "export/input_scales.h"
#include "export/weight_scales.h"
#include "recipes/plan.h"

namespace vernier::exporter {

// Called with bytes just dealt with, one call at a time.
using OnBytes = std::function<void(uint64_t)>;

// XXH3-128 of a whole file, read in chunks.
std::string HashFile(const File& file, const OnBytes& on_bytes);

// What every shard of an export is made from.
struct ShardInputs {
  const checkpoint::SourceModel& source;
  const recipes::Plan& plan;
  const std::vector<WeightScale>& weight_scales;
  const std::vector<InputScale>& input_scales;
};

// Writes `shard` into `directory` through "<file name>.partial": preallocated, header first, pieces
// in parallel at their planned offsets, then hashed, fsynced and renamed. The bytes do not depend
// on `threads`. Memory: one chunk per thread. kBadWeightValue, kNoSpace, kFileRead, kFileWrite.
calib::ShardRecord WriteShard(const ShardInputs& inputs, const recipes::OutputShard& shard,
                              const std::filesystem::path& directory, int threads,
                              const OnBytes& on_bytes);

// Whether `directory` holds the shard that `record` describes, byte for byte by its hash.
bool ShardIsIntact(const calib::ShardRecord& record, const std::filesystem::path& directory,
                   const OnBytes& on_bytes);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_SHARD_WRITER_H_

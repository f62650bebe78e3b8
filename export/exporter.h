// Turns a plan and calibrated statistics into a checkpoint that engines load.
#ifndef VERNIER_EXPORT_EXPORTER_H_
#define VERNIER_EXPORT_EXPORTER_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "checkpoint/source_model.h"
#include "export/importance.h"
#include "export/input_scales.h"
#include "export/kv_scales.h"
#include "export/stream_settings.h"
#include "quantizers/mxfp4.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/store.h"

namespace vernier::exporter {

inline constexpr std::string_view kExportPhase = "export";

struct ExportRequest {
  const checkpoint::SourceModel& source;
  const recipes::Plan& plan;  // of `source` and `recipe`
  const recipes::Recipe& recipe;
  std::vector<run::InputAmax> inputs;  // from the store; only read when the plan quantises
  run::Store& store;                   // remembers finished shards
  std::filesystem::path output;
  StreamSettings settings;
  Progress& progress;  // gets the phase kExportPhase, in bytes
};

// A scale group whose input scale is borrowed, because its experts saw no token.
struct FallbackScale {
  std::string group;
  AmaxOrigin from = AmaxOrigin::kLayer;
  float amax = 0;
};

struct ExportSummary {
  std::filesystem::path output;
  std::string plan_hash;
  // Source tensors by what became of them, and their bytes.
  int64_t carried_tensors = 0;
  int64_t converted_tensors = 0;
  int64_t dropped_tensors = 0;
  uint64_t source_tensor_bytes = 0;
  int64_t output_tensors = 0;
  uint64_t output_tensor_bytes = 0;
  int64_t shards_written = 0;
  int64_t shards_reused = 0;  // finished by an earlier run, verified by their hash
  int64_t copied_files = 0;
  quantizers::CastStats cast;  // over all shards, reused ones included
  std::vector<FallbackScale> fallbacks;
  std::vector<KvScale> kv_scales;  // that were written
  // Weights whose scales were searched by error, and those of them of which something said how much
  // errors count.
  int64_t searched_weights = 0;
  int64_t weighted_weights = 0;
  // Weights that were to be quantised by GPTQ, and those of them that calibration solved.
  int64_t gptq_weights = 0;
  int64_t solved_weights = 0;
  int64_t folds = 0;                   // that calibration could choose, and
  int64_t folds_used = 0;              // those that change anything
  std::vector<BlendedExpert> blended;  // of those, experts with few tokens
  // Elements of converted weights that were not finite, and the tensors that held them.
  int64_t clamped_elements = 0;
  int64_t clamped_tensors = 0;
};

// Writes the checkpoint. Interrupted at any instant, the same call goes on and leaves the same
// bytes: shards that the store knows as finished, and whose bytes have the recorded hash, are not
// written again. The bytes do not depend on the number of threads. Validation is the caller's.
//
// Errors: kNotCalibrated (the plan quantises and calibration is not finished, or lacks a module or
// cache), kOutputExists, kOutputLocked, kNoSpace (checked beforehand), kBadWeightValue, kFileRead,
// kFileWrite, kSourceChanged (a tensor has other bytes than when this run read it before),
// kInterrupted (between two shards).
ExportSummary Export(const ExportRequest& request);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_EXPORTER_H_

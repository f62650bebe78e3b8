// vernier_manifest.json: what became of every source tensor. docs/manifest.md describes it.
#ifndef VERNIER_EXPORT_MANIFEST_H_
#define VERNIER_EXPORT_MANIFEST_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/read_observer.h"
#include "checkpoint/source_model.h"
#include "export/copied_files.h"
#include "export/error_weights.h"
#include "export/folds.h"
#include "export/group_scale.h"
#include "export/input_scales.h"
#include "export/kv_scales.h"
#include "export/solved_weights.h"
#include "quantizers/mxfp4.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::exporter {

struct ManifestContent {
  const checkpoint::SourceModel& source;
  const recipes::Plan& plan;
  const recipes::Recipe& recipe;
  std::string plan_hash;
  std::string version;  // of Vernier
  const std::vector<WeightScale>& weight_scales;
  const std::vector<InputScale>& input_scales;
  const std::vector<KvScale>& kv_scales;
  const std::vector<checkpoint::ConfigPatch>& config_patches;
  const ErrorWeights& error_weights;
  const SolvedWeights& solved;
  const Folds& folds;
  quantizers::CastStats cast;
  std::vector<checkpoint::ClampedElements> clamped;  // in converted weights
  std::vector<OutputFile> written;                   // shards, config files, index
  std::vector<OutputFile> copied;
};

// How many source tensors were carried byte for byte, converted, or dropped.
struct TensorCounts {
  int64_t carried = 0;
  int64_t converted = 0;
  int64_t dropped = 0;
};

// Writes the manifest into `output`, finished or absent, one line per entry. Memory does not grow
// with its length. The same content gives the same bytes.
TensorCounts WriteManifest(const std::filesystem::path& output, const ManifestContent& content);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_MANIFEST_H_

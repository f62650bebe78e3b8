// Weights alone, without calibration and without libtorch.
#ifndef VERNIER_JOBS_CONVERT_H_
#define VERNIER_JOBS_CONVERT_H_

#include <string>
#include <vector>

#include "base/progress.h"
#include "export/layout_packs.h"
#include "jobs/pipeline.h"
#include "recipes/recipe.h"

namespace vernier::jobs {

// Where a conversion reads and writes.
struct ConversionPlaces {
  std::string source, output;
  // Of the recipe by which it is made: run_dir, compute, non_finite, export.kv_cache; without a
  // recipe file also activations (else "none") and importance.
  recipes::Overrides overrides = {};
};

struct ConvertSpec {
  ConversionPlaces places;
  std::string recipe;  // a file whose rules say what becomes of which weight; or, when empty:
  checkpoint::Format weights = checkpoint::formats::kNvfp4;
  recipes::ScaleMethod method = recipes::ScaleMethod::kAuto;
  recipes::Dialect dialect = &dialects::kModelopt;
  // With or without a recipe.
  std::vector<exporter::KernelLayout> layouts;
  bool validate = false;
  std::string command;  // see PipelineSpec
};

// kBadArgument for what a conversion cannot do: calibrated scales of inputs or of the key/value
// cache, a layout without its weights. kBadConfig for a source without config.json. Otherwise as
// RunPipeline.
PipelineSummary Convert(const ConvertSpec& spec, ProgressListener& listener);

struct DequantizeSpec {
  ConversionPlaces places;
  std::string command;  // see PipelineSpec
};

// Every quantised weight as BF16, and the rest as it is.
PipelineSummary Dequantize(const DequantizeSpec& spec, ProgressListener& listener);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_CONVERT_H_

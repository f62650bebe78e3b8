// What an evaluation finds. Knows no libtorch, so that reports need none.
#ifndef VERNIER_CALIB_EVAL_RESULT_H_
#define VERNIER_CALIB_EVAL_RESULT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calib/eval/statistics.h"

namespace vernier::calib {

enum class EvalVariant {
  kReference,             // the model that others are compared with
  kWeights,               // the checkpoint's weights, activations as they are: W4A16
  kWeightsAndActivations  // and its linear layers' inputs quantised as engines do: W4A4
};
// "reference", "weights", "weights+activations"
std::string_view EvalVariantName(EvalVariant variant);
std::optional<EvalVariant> EvalVariantFromName(std::string_view name);

// How many linear layers of a checkpoint ask for a treatment of their inputs.
struct ActivationCount {
  std::string format;  // ActivationFormatName
  int64_t modules = 0;
  std::string example;  // one of them
};

struct EvalRow {
  std::string source;  // the text source's name; empty for all together
  Likelihood likelihood;
  std::optional<Divergence> divergence;  // from the reference
};

struct VariantResult {
  EvalVariant variant = EvalVariant::kWeights;
  std::vector<EvalRow> sources;
  EvalRow total;
  double seconds = 0;
};

struct EvalResult {
  std::vector<VariantResult> variants;
  std::vector<ActivationCount> activations;  // of the checkpoint, by format
  int64_t fp8_caches = 0, nvfp4_caches = 0;  // vectors that its attention caches so
  int64_t requantised_weights = 0;           // FP8 that engines round again (requantised_weights.h)
  int64_t raised_scales = 0;  // experts that quantise inputs with a larger scale than their own
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_EVAL_RESULT_H_

// What is wrong with a specification is said before libtorch is looked for.
#include "base/error.h"
#include "jobs/eval.h"
#include "jobs/layertest.h"
#include "jobs/trace.h"

namespace vernier::jobs {

void CheckEvalSpec(const EvalSpec& spec) {
  if (spec.data.empty() != spec.input_ids.empty()) return;
  throw Error(ErrorCode::kBadArgument, "eval", "no text, or two kinds of it",
              "Give either --data or --input-ids");
}

void CheckLayerTestSpec(const LayerTestSpec& spec) {
  if (spec.recipe.empty() != spec.input_ids.empty()) return;
  throw Error(ErrorCode::kBadArgument, "layertest", "no calibration data, or two kinds of it",
              "Give either --recipe or --input-ids");
}

void CheckTraceSpec(const TraceSpec& spec) {
  if (spec.out.empty() == spec.perplexity) return;
  throw Error(ErrorCode::kBadArgument, "trace", "nothing or two things to do",
              "Give either --out or --perplexity");
}

}  // namespace vernier::jobs

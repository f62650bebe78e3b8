// Hidden states and logits, or the perplexity, of token ids.
#ifndef VERNIER_JOBS_TRACE_H_
#define VERNIER_JOBS_TRACE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "base/progress.h"
#include "calib/eval/statistics.h"
#include "jobs/forward_spec.h"

namespace vernier::jobs {

struct TraceSpec {
  std::string source;
  std::string input_ids;  // safetensors file with tensor input_ids [B, S], I64 or I32
  std::string out;        // empty with `perplexity`
  bool perplexity = false;
  bool quantize_activations = false;  // as engines do
  ForwardSpec forward = {.dtype = "float32"};
};

struct TraceSummary {
  int64_t windows = 0;                               // rows of the ids
  std::optional<calib::Likelihood> likelihood = {};  // with `perplexity`
  int64_t requantised_weights = 0;                   // calib/requantised_weights.h
};

// kBadArgument unless exactly one of out and perplexity is asked for.
void CheckTraceSpec(const TraceSpec& spec);

// In the library that links libtorch. Progress phase "trace".
TraceSummary Trace(const TraceSpec& spec, ProgressListener& listener);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_TRACE_H_

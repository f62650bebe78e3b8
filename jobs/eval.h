// Perplexity of a checkpoint, and its divergence from a reference.
#ifndef VERNIER_JOBS_EVAL_H_
#define VERNIER_JOBS_EVAL_H_

#include <string>
#include <vector>

#include "base/json.h"
#include "base/progress.h"
#include "calib/eval/result.h"
#include "datasets/evaluation_set.h"
#include "jobs/forward_spec.h"

namespace vernier::jobs {

struct EvalSpec {
  std::string checkpoint;
  std::string reference;              // empty: none
  std::vector<std::string> data;      // text sources; or
  std::string input_ids;              // token ids as for a trace
  std::string tokenizer;              // directory; empty: the checkpoint's, or the reference's
  datasets::WindowSpec windows;       // with input_ids: max_windows alone
  std::vector<std::string> variants;  // EvalVariantName; empty: those that the checkpoint has
  ForwardSpec forward;
};

// An evaluation with everything that it depends on.
struct EvalSummary {
  std::string checkpoint, model_type;
  std::string reference;  // empty: none
  std::string tokenizer;  // its fingerprint; empty with ready ids
  bool document_bos = false, document_eos = false;
  std::string dtype, device;
  calib::ExpertInputScale expert_input_scale = calib::ExpertInputScale::kLargest;
  datasets::EvaluationSet data;  // its ids are left out
  calib::EvalResult result;

  bool FromText() const { return !tokenizer.empty(); }
};

// kBadArgument unless there is either text or ready ids.
void CheckEvalSpec(const EvalSpec& spec);

// In the library that links libtorch. Progress phases: calib::EvaluationPhases. kBadArgument for a
// variant that the checkpoint does not have, and for a reference of another vocabulary or depth,
// before anything runs.
EvalSummary Evaluate(const EvalSpec& spec, ProgressListener& listener);

// The object that docs/eval.md describes.
Json EvalJson(const EvalSummary& summary);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_EVAL_H_

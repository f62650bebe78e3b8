// The steps of `eval` and `generate` that need libtorch; like tools/torch_steps.h.
#ifndef VERNIER_TOOLS_EVAL_STEPS_H_
#define VERNIER_TOOLS_EVAL_STEPS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "calib/eval/result.h"
#include "datasets/evaluation_set.h"
#include "tools/forward_options.h"

namespace vernier::tools {

struct EvalOptions {
  std::string checkpoint;
  std::string reference;              // empty: none
  std::vector<std::string> data;      // text sources; or
  std::string input_ids;              // token ids as for RunTrace
  std::string tokenizer;              // directory; empty: the checkpoint's, or the reference's
  datasets::WindowSpec windows;       // with input_ids: max_windows alone
  std::vector<std::string> variants;  // EvalVariantName; empty: those that the checkpoint has
  ForwardOptions forward;
};

// An evaluation with everything that it depends on.
struct EvalReport {
  std::string checkpoint, model_type;
  std::string reference;  // empty: none
  std::string tokenizer;  // its fingerprint; empty with ready ids
  bool document_bos = false, document_eos = false;
  std::string dtype, device;
  datasets::EvaluationSet data;  // its ids are left out
  calib::EvalResult result;
};

// Progress phases: EvaluationPhases. kBadArgument for a variant that the checkpoint does not have,
// and for a reference of another vocabulary or depth, before anything runs.
EvalReport RunEval(const EvalOptions& options, ProgressStyle style);

struct GenerateOptions {
  std::string checkpoint;
  std::vector<std::string> prompts;
  int64_t tokens = 32;
  bool quantize_activations = false;
  std::string tokenizer;  // directory; empty: the checkpoint's
  ForwardOptions forward;
};

struct GeneratedText {
  std::string prompt;
  std::vector<int32_t> prompt_ids, ids;
  std::string text;    // of ids
  bool ended = false;  // by EOS
};

// Called with the index of a prompt and what is known of its continuation: whole characters.
using TextSeen = std::function<void(size_t prompt, const std::string& text)>;

// `seen` may be empty. Progress phase "generate".
std::vector<GeneratedText> RunGenerate(const GenerateOptions& options, const TextSeen& seen,
                                       ProgressStyle style);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_EVAL_STEPS_H_

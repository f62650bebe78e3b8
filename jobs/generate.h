// Greedy continuations of prompts.
#ifndef VERNIER_JOBS_GENERATE_H_
#define VERNIER_JOBS_GENERATE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/progress.h"
#include "jobs/forward_spec.h"

namespace vernier::jobs {

struct GenerateSpec {
  std::string checkpoint;
  std::vector<std::string> prompts;
  int64_t tokens = 32;
  bool quantize_activations = false;
  std::string tokenizer;  // directory; empty: the checkpoint's
  ForwardSpec forward;
};

struct GeneratedText {
  std::string prompt;
  std::vector<int32_t> prompt_ids, ids;
  std::string text;    // of ids
  bool ended = false;  // by EOS
};

// Called with the index of a prompt and what is known of its continuation: whole characters.
using TextSeen = std::function<void(size_t prompt, const std::string& text)>;

// In the library that links libtorch. `seen` may be empty. Progress phase "generate".
std::vector<GeneratedText> Generate(const GenerateSpec& spec, const TextSeen& seen,
                                    ProgressListener& listener);

// [{"prompt", "prompt_ids", "ids", "text", "ended"}]
Json GenerateJson(const std::vector<GeneratedText>& texts);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_GENERATE_H_

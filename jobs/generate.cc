#include "jobs/generate.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "calib/budget/budget.h"
#include "calib/budget/resident.h"
#include "calib/device.h"
#include "calib/generate.h"
#include "checkpoint/source_model.h"
#include "datasets/special_ids.h"
#include "datasets/tokenizer.h"
#include "jobs/forward_job.h"
#include "jobs/scratch_directory.h"

namespace vernier::jobs {
namespace {

// The text behind the tokenizer's prefix. Never EOS: the text goes on.
std::vector<int32_t> EncodePrompt(const std::string& text, const datasets::Tokenizer& tokenizer) {
  std::vector<int32_t> ids = tokenizer.Encode(text);
  datasets::AddPrefix(tokenizer.prefix(), &ids);
  if (!ids.empty()) return ids;
  throw Error(ErrorCode::kBadArgument, "--prompt", "an empty prompt has no token to go on from",
              "Give some text");
}

// Of those ids that the tokenizer has: a model's vocabulary may be larger.
std::string TextOf(std::vector<int32_t> ids, const datasets::Tokenizer& tokenizer) {
  std::erase_if(ids, [&](int32_t id) { return !tokenizer.Has(id); });
  return tokenizer.Decode(ids);
}

// `text` without the bytes of a character that is not complete yet.
std::string WholeCharacters(std::string text) {
  static constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  while (text.ends_with(kReplacement)) text.resize(text.size() - kReplacement.size());
  return text;
}

int64_t LongestOf(const std::vector<std::vector<int32_t>>& prompts) {
  size_t longest = 0;
  for (const auto& prompt : prompts) longest = std::max(longest, prompt.size());
  return static_cast<int64_t>(longest);
}

}  // namespace

std::vector<GeneratedText> Generate(const GenerateSpec& spec, const TextSeen& seen,
                                    ProgressListener& listener) {
  const checkpoint::SourceModel model = checkpoint::OpenSourceModel(spec.checkpoint);
  const auto tokenizer =
      datasets::Tokenizer::Load(spec.tokenizer.empty() ? spec.checkpoint : spec.tokenizer);
  std::vector<std::vector<int32_t>> prompts;
  for (const std::string& text : spec.prompts) {
    prompts.push_back(EncodePrompt(text, tokenizer));
    RequireIds(prompts.back(), model.family->Dims().vocab_size);
  }
  const calib::ComputeSpec compute = ComputeOf(spec.forward);
  calib::SetThreads(compute.threads);
  const calib::Workload workload = {.samples = static_cast<int64_t>(prompts.size()),
                                    .sequence_length = LongestOf(prompts) + spec.tokens - 1};
  const calib::MachineMemory memory = ReadMemory(compute.device);
  const calib::CalibrationBudget budget = calib::PlanBudget(model, compute, workload, memory);
  const ScratchDirectory scratch;
  Progress progress(listener, {{"generate", 1.0}});
  std::vector<std::vector<int32_t>> so_far(prompts.size());
  const std::vector<calib::Continuation> found = calib::Generate(
      {.source = model,
       .compute = compute,
       .budget = budget,
       .resident = calib::PlanResident(model, compute, workload, budget.batch_size, memory),
       .prompts = prompts,
       .tokens = spec.tokens,
       .eos = tokenizer.eos_id(),
       .quantize_activations = spec.quantize_activations,
       .expert_input_scale = spec.forward.expert_input_scale,
       .scratch_directory = scratch.path()},
      [&](size_t prompt, int32_t id) {
        if (!seen) return;
        so_far[prompt].push_back(id);
        seen(prompt, WholeCharacters(TextOf(so_far[prompt], tokenizer)));
      },
      progress);
  std::vector<GeneratedText> texts;
  for (size_t i = 0; i < prompts.size(); ++i) {
    texts.push_back({.prompt = spec.prompts[i],
                     .prompt_ids = prompts[i],
                     .ids = found[i].ids,
                     .text = TextOf(found[i].ids, tokenizer),
                     .ended = found[i].ended});
  }
  return texts;
}

}  // namespace vernier::jobs

#include "tools/eval_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "calib/device.h"
#include "calib/eval/activation_counts.h"
#include "calib/eval/evaluate.h"
#include "calib/generate.h"
#include "calib/trace.h"
#include "datasets/document_encoder.h"
#include "datasets/special_ids.h"
#include "datasets/tokenizer.h"
#include "tools/scratch_directory.h"
#include "tools/torch_steps.h"

namespace vernier::tools {
namespace {

using calib::EvalVariant;
using checkpoint::SourceModel;

void RequireIds(std::span<const int32_t> ids, int64_t vocab_size) {
  const int32_t highest = ids.empty() ? -1 : std::ranges::max(ids);
  if (highest < vocab_size) return;
  throw Error(ErrorCode::kBadTokenIds, fmt::format("token id {}", highest),
              fmt::format("is outside the model's vocabulary of {}", vocab_size),
              "Give the tokenizer that belongs to the model with --tokenizer");
}

// Where a tokenizer is read from: the option, or the first of the models that has one.
std::filesystem::path TokenizerDirectory(const EvalOptions& options) {
  if (!options.tokenizer.empty()) return options.tokenizer;
  const bool other =
      !std::filesystem::exists(std::filesystem::path(options.checkpoint) / "tokenizer.json") &&
      !options.reference.empty();
  return other ? options.reference : options.checkpoint;
}

// The data and, of text, the tokenizer's part of the report.
void ReadEvalData(const EvalOptions& options, int64_t vocab_size, EvalReport* report) {
  if (!options.input_ids.empty()) {
    datasets::CalibrationSet rows = calib::ReadTokenIds(options.input_ids, vocab_size);
    if (options.windows.max_windows > 0) datasets::KeepSamples(options.windows.max_windows, rows);
    report->data = datasets::EvaluationSetOfIds(std::move(rows), options.input_ids);
    return;
  }
  const auto tokenizer = datasets::Tokenizer::Load(TokenizerDirectory(options));
  const std::vector<std::filesystem::path> sources(options.data.begin(), options.data.end());
  report->data = datasets::BuildEvaluationSet(sources, options.windows, tokenizer);
  report->tokenizer = tokenizer.fingerprint();
  report->document_bos = !tokenizer.prefix().empty();
  report->document_eos = !tokenizer.suffix().empty();
  RequireIds(report->data.tokens.ids, vocab_size);
}

std::vector<EvalVariant> ChooseVariants(const EvalOptions& options, const SourceModel& model) {
  const bool quantizes = calib::EmulatesActivations(model);
  if (options.variants.empty()) {
    if (!quantizes) return {EvalVariant::kWeights};
    return {EvalVariant::kWeights, EvalVariant::kWeightsAndActivations};
  }
  std::vector<EvalVariant> variants;
  for (const std::string& name : options.variants) {
    const EvalVariant variant = calib::EvalVariantFromName(name).value();
    if (variant == EvalVariant::kWeightsAndActivations && !quantizes) {
      throw Error(ErrorCode::kBadArgument, options.checkpoint,
                  "asks for no quantised activations that are emulated, so there is nothing to "
                  "evaluate as weights+activations",
                  "Leave --variants out");
    }
    if (std::ranges::find(variants, variant) == variants.end()) variants.push_back(variant);
  }
  return variants;
}

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

EvalReport RunEval(const EvalOptions& options, ProgressStyle style) {
  const SourceModel model = checkpoint::OpenSourceModel(options.checkpoint);
  std::optional<SourceModel> reference;
  if (!options.reference.empty()) reference = checkpoint::OpenSourceModel(options.reference);
  EvalReport report;
  report.checkpoint = options.checkpoint;
  report.model_type = model.family->model_type();
  report.reference = options.reference;
  report.dtype = options.forward.dtype;
  report.device = options.forward.device;
  const std::vector<EvalVariant> variants = ChooseVariants(options, model);
  ReadEvalData(options, model.family->Dims().vocab_size, &report);
  const recipes::Recipe recipe =
      ForwardRecipe(options.forward, options.checkpoint, report.data.tokens.samples,
                    report.data.tokens.sequence_length);
  calib::SetThreads(options.forward.threads);
  const calib::EvalModels models = calib::PlanEvaluation(model, reference ? &*reference : nullptr,
                                                         recipe, ReadMachineMemory(recipe));
  const ScratchDirectory scratch;
  const calib::EvalRequest request = {.model = models.model,
                                      .reference = models.reference,
                                      .variants = variants,
                                      .recipe = recipe,
                                      .data = report.data,
                                      .scratch_directory = scratch.path()};
  Progress progress(style, stderr, calib::EvaluationPhases(request));
  report.result = calib::Evaluate(request, progress);
  report.data.tokens.ids.clear();
  report.data.scored.clear();
  return report;
}

std::vector<GeneratedText> RunGenerate(const GenerateOptions& options, const TextSeen& seen,
                                       ProgressStyle style) {
  const SourceModel model = checkpoint::OpenSourceModel(options.checkpoint);
  const auto tokenizer =
      datasets::Tokenizer::Load(options.tokenizer.empty() ? options.checkpoint : options.tokenizer);
  std::vector<std::vector<int32_t>> prompts;
  for (const std::string& text : options.prompts) {
    prompts.push_back(EncodePrompt(text, tokenizer));
    RequireIds(prompts.back(), model.family->Dims().vocab_size);
  }
  const recipes::Recipe recipe =
      ForwardRecipe(options.forward, options.checkpoint, static_cast<int64_t>(prompts.size()),
                    LongestOf(prompts) + options.tokens - 1);
  calib::SetThreads(options.forward.threads);
  const recipes::CalibrationBudget budget =
      recipes::PlanBudget(model, recipe, ReadMachineMemory(recipe));
  const ScratchDirectory scratch;
  Progress progress(style, stderr, {{"generate", 1.0}});
  std::vector<std::vector<int32_t>> so_far(prompts.size());
  const std::vector<calib::Continuation> found = calib::Generate(
      {.source = model,
       .recipe = recipe,
       .budget = budget,
       .prompts = prompts,
       .tokens = options.tokens,
       .eos = tokenizer.eos_id(),
       .quantize_activations = options.quantize_activations,
       .scratch_directory = scratch.path()},
      [&](size_t prompt, int32_t id) {
        if (!seen) return;
        so_far[prompt].push_back(id);
        seen(prompt, WholeCharacters(TextOf(so_far[prompt], tokenizer)));
      },
      progress);
  std::vector<GeneratedText> texts;
  for (size_t i = 0; i < prompts.size(); ++i) {
    texts.push_back({.prompt = options.prompts[i],
                     .prompt_ids = prompts[i],
                     .ids = found[i].ids,
                     .text = TextOf(found[i].ids, tokenizer),
                     .ended = found[i].ended});
  }
  return texts;
}

}  // namespace vernier::tools

#include "jobs/eval.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "calib/device.h"
#include "calib/eval/activation_counts.h"
#include "calib/eval/evaluate.h"
#include "calib/trace.h"
#include "datasets/document_encoder.h"
#include "datasets/tokenizer.h"
#include "jobs/forward_job.h"
#include "jobs/scratch_directory.h"

namespace vernier::jobs {
namespace {

using calib::EvalVariant;
using checkpoint::SourceModel;

// Where a tokenizer is read from: the option, or the first of the models that has one.
std::filesystem::path TokenizerDirectory(const EvalSpec& spec) {
  if (!spec.tokenizer.empty()) return spec.tokenizer;
  const bool other =
      !std::filesystem::exists(std::filesystem::path(spec.checkpoint) / "tokenizer.json") &&
      !spec.reference.empty();
  return other ? spec.reference : spec.checkpoint;
}

// The data and, of text, the tokenizer's part of the summary.
void ReadEvalData(const EvalSpec& spec, int64_t vocab_size, EvalSummary* summary) {
  if (!spec.input_ids.empty()) {
    datasets::CalibrationSet rows = calib::ReadTokenIds(spec.input_ids, vocab_size);
    if (spec.windows.max_windows > 0) datasets::KeepSamples(spec.windows.max_windows, rows);
    summary->data = datasets::EvaluationSetOfIds(std::move(rows), spec.input_ids);
    return;
  }
  const auto tokenizer = datasets::Tokenizer::Load(TokenizerDirectory(spec));
  const std::vector<std::filesystem::path> sources(spec.data.begin(), spec.data.end());
  summary->data = datasets::BuildEvaluationSet(sources, spec.windows, tokenizer);
  summary->tokenizer = tokenizer.fingerprint();
  summary->document_bos = !tokenizer.prefix().empty();
  summary->document_eos = !tokenizer.suffix().empty();
  RequireIds(summary->data.tokens.ids, vocab_size);
}

std::vector<EvalVariant> ChooseVariants(const EvalSpec& spec, const SourceModel& model) {
  const bool quantizes = calib::EmulatesActivations(model);
  if (spec.variants.empty()) {
    if (!quantizes) return {EvalVariant::kWeights};
    return {EvalVariant::kWeights, EvalVariant::kWeightsAndActivations};
  }
  std::vector<EvalVariant> variants;
  for (const std::string& name : spec.variants) {
    const EvalVariant variant = calib::EvalVariantFromName(name).value();
    if (variant == EvalVariant::kWeightsAndActivations && !quantizes) {
      throw Error(ErrorCode::kBadArgument, spec.checkpoint,
                  "asks for no quantised activations that are emulated, so there is nothing to "
                  "evaluate as weights+activations",
                  "Leave --variants out");
    }
    if (std::ranges::find(variants, variant) == variants.end()) variants.push_back(variant);
  }
  return variants;
}

}  // namespace

EvalSummary Evaluate(const EvalSpec& spec, ProgressListener& listener) {
  CheckEvalSpec(spec);
  const SourceModel model = checkpoint::OpenSourceModel(spec.checkpoint);
  std::optional<SourceModel> reference;
  if (!spec.reference.empty()) reference = checkpoint::OpenSourceModel(spec.reference);
  EvalSummary summary;
  summary.checkpoint = spec.checkpoint;
  summary.model_type = model.family->model_type();
  summary.reference = spec.reference;
  summary.dtype = spec.forward.dtype;
  summary.device = spec.forward.device;
  summary.expert_input_scale = spec.forward.expert_input_scale;
  const std::vector<EvalVariant> variants = ChooseVariants(spec, model);
  ReadEvalData(spec, model.family->Dims().vocab_size, &summary);
  const calib::ComputeSpec compute = ComputeOf(spec.forward);
  calib::SetThreads(compute.threads);
  const calib::EvalModels models =
      calib::PlanEvaluation(model, reference ? &*reference : nullptr, compute,
                            {.samples = summary.data.tokens.samples,
                             .sequence_length = summary.data.tokens.sequence_length},
                            ReadMemory(compute.device));
  const ScratchDirectory scratch;
  const calib::EvalRequest request = {.model = models.model,
                                      .reference = models.reference,
                                      .variants = variants,
                                      .compute = compute,
                                      .data = summary.data,
                                      .scratch_directory = scratch.path(),
                                      .expert_input_scale = spec.forward.expert_input_scale};
  Progress progress(listener, calib::EvaluationPhases(request));
  summary.result = calib::Evaluate(request, progress);
  summary.data.tokens.ids.clear();
  summary.data.scored.clear();
  return summary;
}

}  // namespace vernier::jobs

#include "calib/eval/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "calib/activation_quantizer.h"
#include "calib/device.h"
#include "calib/eval/activation_counts.h"
#include "calib/eval/token_scores.h"
#include "calib/forward.h"
#include "calib/requantised_weights.h"

namespace vernier::calib {
namespace {

using Clock = std::chrono::steady_clock;
using checkpoint::SourceModel;

// Work in layers: of the logits of one model, and of quantising a layer's inputs; measured.
constexpr double kLogitsCost = 0.5;
constexpr double kQuantizedLayerCost = 1.3;

struct Run {
  std::unique_ptr<ModelForward> forward;
  std::shared_ptr<SampleBuffer> hidden;  // behind the last layer

  FinalStates States() const { return {forward->decoder(), *hidden}; }
};

class Evaluation {
 public:
  Evaluation(const EvalRequest& request, Progress& progress)
      : request_(request),
        progress_(progress),
        device_(ParseDevice(request.compute.device)),
        quantizer_(request.model.source, request.expert_input_scale),
        requantised_(request.model.source) {}

  EvalResult Result() {
    EvalResult result{.variants = {},
                      .activations = CountActivations(request_.model.source),
                      .fp8_caches = Caches(ActivationFormat::kFp8Tensor),
                      .nvfp4_caches = Caches(ActivationFormat::kNvfp4),
                      .requantised_weights = requantised_.count(),
                      .raised_scales = RaisedScales()};
    if (request_.reference) result.variants.push_back(RunReference());
    for (const EvalVariant variant : request_.variants) {
      result.variants.push_back(RunVariant(variant));
    }
    return result;
  }

 private:
  int64_t Caches(ActivationFormat format) const {
    return CountCaches(request_.model.source, format);
  }

  int64_t RaisedScales() const {
    const bool merged = request_.expert_input_scale == ExpertInputScale::kLargest;
    return merged ? CountRaisedScales(request_.model.source) : 0;
  }

  VariantResult RunReference() {
    const Clock::time_point start = Begin(EvalVariant::kReference);
    reference_ = Forward(*request_.reference, "reference", nobody_, nullptr);
    reference_scores_ = Score(reference_.States(), nullptr);
    return Summarize(EvalVariant::kReference, reference_scores_, start);
  }

  VariantResult RunVariant(EvalVariant variant) {
    const Clock::time_point start = Begin(variant);
    const bool quantizes = variant == EvalVariant::kWeightsAndActivations;
    const Run run = Forward(request_.model, "variant", quantizes ? quantizer_ : nobody_,
                            requantised_.count() > 0 ? &requantised_ : nullptr);
    TokenScores scores;
    if (request_.reference) {
      const FinalStates reference = reference_.States();
      scores = Score(run.States(), &reference);
    } else {
      scores = Score(run.States(), nullptr);
    }
    return Summarize(variant, scores, start);
  }

  Clock::time_point Begin(EvalVariant variant) {
    progress_.BeginPhase(EvalVariantName(variant), static_cast<double>(Layers()) + kLogitsCost);
    return Clock::now();
  }

  int64_t Layers() const { return request_.model.source.family->Dims().layers; }

  Run Forward(const EvalModel& model, std::string_view folder, Tap& tap, Substitutes* weights) {
    const std::filesystem::path scratch = request_.scratch_directory / folder;
    std::filesystem::create_directories(scratch);
    Run run;
    run.forward = std::make_unique<ModelForward>(ForwardInputs{.source = model.source,
                                                               .compute = request_.compute,
                                                               .budget = model.budget,
                                                               .tokens = request_.data.tokens,
                                                               .scratch_directory = scratch,
                                                               .weights = weights});
    run.hidden = run.forward->Run(run.forward->decoder().Layers(), progress_, tap);
    return run;
  }

  TokenScores Score(const FinalStates& model, const FinalStates* reference) {
    const auto windows = static_cast<double>(request_.data.tokens.samples);
    return ScoreTokens(request_.data, device_, model, reference, [&](int64_t done) {
      progress_.Advance(kLogitsCost / windows,
                        fmt::format("logits of window {}/{}", done, request_.data.tokens.samples));
      StopIfAsked(progress_);
    });
  }

  VariantResult Summarize(EvalVariant variant, const TokenScores& scores, Clock::time_point start) {
    VariantResult result{.variant = variant, .sources = {}, .total = {}};
    size_t first = 0;
    for (const datasets::TextSource& source : request_.data.sources) {
      const auto count = static_cast<size_t>(source.scored);
      result.sources.push_back(Row(source.name, scores, first, count));
      first += count;
    }
    result.total = Row({}, scores, 0, scores.nll.size());
    progress_.EndPhase();
    result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return result;
  }

  EvalRow Row(const std::string& source, const TokenScores& scores, size_t first,
              size_t count) const {
    const TokenScores part = scores.Slice(first, count);
    EvalRow row{.source = source, .likelihood = LikelihoodOf(part.nll), .divergence = {}};
    if (!part.kl.empty())
      row.divergence = DivergenceOf(part, reference_scores_.Slice(first, count));
    return row;
  }

  const EvalRequest& request_;
  Progress& progress_;
  at::Device device_;
  Tap nobody_;
  ActivationQuantizer quantizer_;
  RequantisedWeights requantised_;
  Run reference_;
  TokenScores reference_scores_;
};

void RequireSameVocabulary(const SourceModel& model, const SourceModel& reference) {
  const auto require = [&](std::string_view what, int64_t ours, int64_t theirs) {
    if (ours == theirs) return;
    throw Error(ErrorCode::kBadArgument, model.checkpoint.directory().string(),
                fmt::format("cannot be compared with the reference: its {} is {}, not {}", what,
                            ours, theirs),
                "Give as --reference the model that the checkpoint was made from");
  };
  const checkpoint::ModelDims ours = model.family->Dims(), theirs = reference.family->Dims();
  require("vocabulary", ours.vocab_size, theirs.vocab_size);
  require("number of layers", ours.layers, theirs.layers);
}

}  // namespace

EvalModels PlanEvaluation(const SourceModel& model, const SourceModel* reference,
                          const ComputeSpec& compute, const Workload& workload,
                          const MachineMemory& machine) {
  const CalibrationBudget alone = PlanBudget(model, compute, workload, machine);
  if (reference == nullptr) return {.model = {model, alone}, .reference = {}};
  RequireSameVocabulary(model, *reference);
  Workload beside = workload;
  // In files, hidden states take no memory; whether they are is what is planned here.
  beside.held_bytes += alone.spill_hidden ? 0 : alone.checkpoint_bytes;
  const CalibrationBudget budget = PlanBudget(model, compute, beside, machine);
  const run::LoopSizes sizes = {.batch_size = budget.batch_size, .query_chunk = budget.query_chunk};
  return {
      .model = {model, budget},
      .reference = EvalModel{*reference, PlanBudget(*reference, compute, beside, machine, sizes)}};
}

std::vector<PhaseForecast> EvaluationPhases(const EvalRequest& request) {
  const auto layers = static_cast<double>(request.model.source.family->Dims().layers);
  std::vector<PhaseForecast> phases;
  if (request.reference)
    phases.push_back({std::string(EvalVariantName(EvalVariant::kReference)), layers + kLogitsCost});
  for (const EvalVariant variant : request.variants) {
    const bool quantizes = variant == EvalVariant::kWeightsAndActivations;
    phases.push_back(
        {std::string(EvalVariantName(variant)), layers * (quantizes ? kQuantizedLayerCost : 1) +
                                                    (request.reference ? 2 : 1) * kLogitsCost});
  }
  return phases;
}

EvalResult Evaluate(const EvalRequest& request, Progress& progress) {
  return Evaluation(request, progress).Result();
}

}  // namespace vernier::calib

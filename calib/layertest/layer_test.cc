#include "calib/layertest/layer_test.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "calib/activation_quantizer.h"
#include "calib/forward.h"
#include "calib/layertest/decoders.h"
#include "calib/layertest/linear_errors.h"
#include "calib/requantised_weights.h"

namespace vernier::calib {
namespace {

// Hidden states of all samples that exist beside a run's own: before the layer, behind attention,
// behind the layer; with what the FFN adds, at most this many times what calibration holds.
constexpr int64_t kHiddenCopies = 4;
// The reference run holds the weights of both checkpoints.
constexpr int64_t kModelCopies = 2;

// Costs in runs of one layer, measured. The reference run takes one of its own, three of the
// experts for the variants, and four products for each linear layer.
constexpr double kReferenceCost = 6;
constexpr double kRunCost = 1;
constexpr double kRunsPerVariant = 2;
constexpr double kCompareCost = kReferenceCost + kVariants * kRunsPerVariant * kRunCost;

// Weights of the layer whose inputs the quantised checkpoint wants quantised.
bool QuantizesInputs(const checkpoint::SourceModel& quantized, int64_t layer,
                     ActivationQuantizer& quantizer) {
  bool any = false;
  for (const checkpoint::LogicalWeight& weight : quantized.layout.weights) {
    if (weight.layer != layer || weight.role == checkpoint::Role::kMtp) continue;
    if (!weight.quantisable()) continue;
    any = quantizer.Of(weight.module).Quantizes() || any;
  }
  return any;
}

// `errors` of a stage made of those `linears` that are part of it: of weights alone where none of
// them quantises its inputs.
StageErrors WhereQuantized(const StageErrors& errors, const std::vector<LinearResult>& linears,
                           const auto& is_part) {
  const bool quantizes = std::ranges::any_of(linears, [&](const LinearResult& linear) {
    return is_part(linear) && linear.errors.activations.has_value();
  });
  return quantizes ? errors : StageErrors{.weights = errors.weights, .activations = {}, .both = {}};
}

// Of one run from the layer's beginning and one from behind attention.
struct StageSums {
  VariantSums middle, out, ffn;
};

class LayerComparison {
 public:
  LayerComparison(const LayerTestRequest& request, const ModelForward& source, Progress& progress)
      : request_(request),
        progress_(progress),
        source_(source),
        quantized_loader_(request.quantized, source.loop().device(), source.loop().compute_dtype()),
        requantised_(request.quantized),
        substituting_(quantized_loader_, requantised_),
        quantized_(MakeDecoder(quantized_loader_)),
        quantizer_(request.quantized, request.expert_input_scale),
        batches_(request.tokens, request.budget.batch_size, source.loop().device()),
        states_{.middle = loop().MakeBuffer("reference-middle.scratch", loop().HiddenSampleShape(),
                                            loop().compute_dtype()),
                .ffn = loop().MakeBuffer(
                    "reference-ffn.scratch",
                    {request.tokens.sequence_length, source.decoder().HiddenShape().back()},
                    at::kFloat),
                .out = loop().MakeBuffer("reference-out.scratch", loop().HiddenSampleShape(),
                                         loop().compute_dtype())} {
    variants_.push_back({Variant::kWeights, *quantized_, nobody_});
    if (!QuantizesInputs(request.quantized, request.layer, quantizer_)) return;
    variants_.push_back({Variant::kActivations, source_.decoder(), quantizer_});
    variants_.push_back({Variant::kBoth, *quantized_, quantizer_});
  }

  LayerTestResult Run(const SampleBuffer& hidden) {
    LayerTestResult result{.layer = request_.layer,
                           .layers = source_.decoder().Layers(),
                           .samples = request_.tokens.samples,
                           .tokens = request_.tokens.RealTokens(),
                           .experts = source_.decoder().Experts(request_.layer)};
    RunReference(hidden, result);
    StageSums sums;
    for (const VariantRun& run : variants_) {
      RunVariant(run, VariantStart::kLayer, hidden,
                 {.middle = &sums.middle[run.variant], .out = &sums.out[run.variant]});
      RunVariant(run, VariantStart::kFfn, states_.middle, {.ffn = &sums.ffn[run.variant]});
    }
    result.behind_attention = sums.middle.Errors();
    result.ffn = sums.ffn.Errors();
    result.output = sums.out.Errors();
    return result;
  }

 private:
  const LayerLoop& loop() const { return source_.loop(); }

  // What a loop may read `hidden` from: in memory, where it works in place, a copy.
  std::shared_ptr<SampleBuffer> InputFrom(const SampleBuffer& hidden) const {
    if (hidden.in_file()) return std::make_shared<SampleBuffer>(hidden.OpenSame(hidden.path()));
    auto copy = std::make_shared<SampleBuffer>(loop().MakeHiddenBuffer({}));
    copy->CopyFrom(hidden, 0, hidden.samples());
    return copy;
  }

  void RunReference(const SampleBuffer& hidden, LayerTestResult& result) {
    LinearErrors linears(request_.quantized, quantizer_);
    std::vector<VariantSums> experts(static_cast<size_t>(result.experts));
    VariantSums shared;
    const ReferenceDecoder decoder(source_.decoder(), variants_, batches_,
                                   {linears, experts, shared}, states_);
    RunPass(decoder, hidden, linears, kReferenceCost, "the source's layer");
    result.linears = linears.Results();
    for (int64_t expert = 0; expert < result.experts; ++expert) {
      const StageErrors errors = experts[static_cast<size_t>(expert)].Errors();
      if (!errors.weights) continue;
      const auto is_part = [&](const LinearResult& linear) { return linear.expert == expert; };
      result.routed_experts.push_back({expert, WhereQuantized(errors, result.linears, is_part)});
    }
    const auto is_shared = [](const LinearResult& linear) {
      return linear.role == checkpoint::RoleName(checkpoint::Role::kSharedExpert);
    };
    if (std::ranges::any_of(result.linears, is_shared)) {
      result.shared_experts = WhereQuantized(shared.Errors(), result.linears, is_shared);
    }
  }

  void RunVariant(const VariantRun& run, VariantStart start, const SampleBuffer& hidden,
                  RunErrors errors) {
    const ComparedDecoder decoder(run.decoder, start, batches_, states_, errors);
    // Where there are fewer variants, each makes up for a greater part of the phase.
    const double cost = kRunCost * kVariants / static_cast<double>(variants_.size());
    RunPass(decoder, hidden, run.tap, cost,
            start == VariantStart::kLayer ? "the quantised layer" : "the quantised FFN");
  }

  void RunPass(const Decoder& decoder, const SampleBuffer& hidden, Tap& tap, double cost,
               std::string_view what) {
    const Pass pass({.decoder = decoder,
                     .tokens = request_.tokens,
                     .budget = request_.budget,
                     .device = loop().device(),
                     .compute_dtype = loop().compute_dtype(),
                     .directory = request_.scratch_directory});
    NonFiniteGuard guard(tap);
    pass.Run({.layer = request_.layer, .hidden = InputFrom(hidden)}, request_.layer + 1, guard,
             {.progress = progress_, .units_per_layer = cost, .what = what},
             {.unit_done = [this](int64_t, LayerState&) { StopIfAsked(progress_); }});
  }

  const LayerTestRequest& request_;
  Progress& progress_;
  const ModelForward& source_;
  TensorLoader quantized_loader_;
  RequantisedWeights requantised_;
  TensorLoader::Substituting substituting_;
  std::unique_ptr<Decoder> quantized_;
  ActivationQuantizer quantizer_;
  Tap nobody_;
  Batches batches_;
  ReferenceStates states_;
  std::vector<VariantRun> variants_;
};

}  // namespace

Workload LayerTestWorkload(int64_t samples, int64_t sequence_length) {
  return {.samples = samples,
          .sequence_length = sequence_length,
          .hidden_copies = kHiddenCopies,
          .model_copies = kModelCopies};
}

std::vector<PhaseForecast> LayerTestPhases(int64_t layer) {
  if (layer == 0) return {{"compare", kCompareCost}};
  return {{"forward", static_cast<double>(layer)}, {"compare", kCompareCost}};
}

LayerTestResult RunLayerTest(const LayerTestRequest& request, Progress& progress) {
  RequireSameLayer(request.source, request.quantized, request.layer);
  const c10::InferenceMode inference;
  const ModelForward source({.source = request.source,
                             .compute = request.compute,
                             .budget = request.budget,
                             .tokens = request.tokens,
                             .scratch_directory = request.scratch_directory});
  LayerComparison comparison(request, source, progress);
  if (request.layer > 0) progress.BeginPhase("forward", static_cast<double>(request.layer));
  const std::shared_ptr<SampleBuffer> hidden = source.Run(request.layer, progress);
  if (request.layer > 0) progress.EndPhase();
  progress.BeginPhase("compare", kCompareCost);
  LayerTestResult result = comparison.Run(*hidden);
  progress.EndPhase();
  return result;
}

}  // namespace vernier::calib

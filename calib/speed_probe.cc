#include "calib/speed_probe.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>

#include "base/interrupt.h"
#include "base/seconds_since.h"
#include "base/thread_count.h"
#include "calib/batches.h"
#include "calib/budget/loop_constants.h"
#include "calib/device.h"
#include "calib/families/decoder.h"
#include "calib/tensor_loader.h"

namespace vernier::calib {
namespace {

using Clock = std::chrono::steady_clock;

// Seconds of one call, the device's part included: the least of several. The first is not enough,
// however long it takes: on a GPU it loads kernels and takes memory, on a CPU it touches pages.
// `run` returns a tensor that the device computes last. kInterrupted between two calls.
double Time(const std::function<at::Tensor()>& run) {
  constexpr double kEnoughSeconds = 0.5;
  constexpr int kLeastCalls = 2, kMostCalls = 10;
  const auto timed = [&] {
    const Clock::time_point start = Clock::now();
    run().flatten().select(0, 0).item();  // waits for the device
    return SecondsSince(start);
  };
  double all = timed(), least = all;
  for (int i = 1; i < kLeastCalls || (i < kMostCalls && all < kEnoughSeconds); ++i) {
    ThrowIfInterrupted();
    const double seconds = timed();
    least = std::min(least, seconds);
    all += seconds;
  }
  return least;
}

// A batch, or as much of it as should take no longer than a second: fewer sequences, or one that is
// shorter.
Workload WorkToProbe(const checkpoint::SourceModel& source, const ComputeSpec& compute,
                     Workload workload, int64_t batch_size, int64_t layers) {
  workload.samples = std::min(batch_size, workload.samples);
  const double flops =
      UsualSpeed(compute.device, ComputeThreadCount(compute.threads)).compute.dense_flops;
  const auto takes_long = [&] {
    return ForwardFlops(source, workload).dense / static_cast<double>(layers) *
               static_cast<double>(workload.samples * workload.sequence_length) >
           flops;
  };
  while (workload.samples > 1 && takes_long()) workload.samples /= 2;
  while (workload.sequence_length > 1 && takes_long()) workload.sequence_length /= 2;
  return workload;
}

// The middle layer, or the first behind it that has routed experts.
int64_t LayerToProbe(const Decoder& decoder) {
  const int64_t middle = decoder.Layers() / 2;
  for (int64_t layer = middle; layer < decoder.Layers(); ++layer) {
    if (decoder.Experts(layer) > 0) return layer;
  }
  return middle;
}

// Ids that are all over the vocabulary.
datasets::CalibrationSet MakeUpTokens(int64_t samples, int64_t length, int64_t vocab_size) {
  constexpr int64_t kStep = 7919;
  datasets::CalibrationSet tokens;
  tokens.samples = samples;
  tokens.sequence_length = length;
  for (int64_t i = 0; i < samples * length; ++i) {
    tokens.ids.push_back(static_cast<int32_t>(i * kStep % vocab_size));
  }
  tokens.lengths.assign(static_cast<size_t>(samples), static_cast<int32_t>(length));
  return tokens;
}

// Products of one expert with as many rows as it has on average, in FLOPs per second.
double ExpertFlops(const Decoder& decoder, int64_t layer, const at::Tensor& x, int64_t all_tokens) {
  const int64_t rows = std::clamp<int64_t>(
      all_tokens * decoder.ExpertsPerToken() / decoder.Experts(layer), 1, kExpertRows);
  const at::Tensor input = x.index_select(
      0, at::arange(rows, at::TensorOptions().dtype(at::kLong).device(x.device())) % x.size(0));
  decoder.ReadAhead({.layer = layer, .experts = {0}});
  ExpertWeights weights = decoder.LoadExpert(layer, 0);
  int64_t values = 0;
  for (at::Tensor& weight : weights) {
    weight = weight.to(x.device());
    values += weight.numel();
  }
  Tap nobody;
  const double seconds = Time([&] { return decoder.RunExpert(layer, 0, weights, input, nobody); });
  return 2.0 * static_cast<double>(rows) * static_cast<double>(values) / seconds;
}

}  // namespace

ComputeSpeed MeasureSpeed(const checkpoint::SourceModel& source, const ComputeSpec& compute,
                          const Workload& workload, const CalibrationBudget& budget) {
  const c10::InferenceMode inference;
  const at::Device device = ParseDevice(compute.device);
  const TensorLoader loader(source, device, ToScalarType(compute.dtype));
  const std::unique_ptr<Decoder> decoder = MakeDecoder(loader);
  const Workload probe =
      WorkToProbe(source, compute, workload, budget.batch_size, decoder->Layers());
  const datasets::CalibrationSet tokens =
      MakeUpTokens(probe.samples, probe.sequence_length, decoder->VocabSize());
  const Batches batches(tokens, probe.samples, device);
  const TokenBatch batch = batches.Tokens(batches.At(0));

  const int64_t layer = LayerToProbe(*decoder);
  const at::Tensor hidden = decoder->Embed(batch.ids);
  decoder->ReadAhead({.layer = layer, .dense = true});
  const std::unique_ptr<DecoderLayer> dense = decoder->LoadLayer(layer, budget.query_chunk);
  Tap nobody;
  at::Tensor x;
  const double seconds = Time([&] {
    const FfnStage stage = dense->RunUntilExperts(hidden, batch, nobody);
    x = stage.x;
    return dense->Finish(stage.hidden, stage.y, stage.mix);
  });
  ComputeSpeed speed;
  const ComputeSpeed usual = UsualSpeed(compute.device, 0).compute;
  speed.solve_flops = usual.solve_flops;
  speed.search_flops = usual.search_flops;
  speed.dense_flops = ForwardFlops(source, probe).dense / static_cast<double>(decoder->Layers()) *
                      static_cast<double>(tokens.RealTokens()) / seconds;
  speed.expert_flops =
      decoder->Experts(layer) == 0
          ? speed.dense_flops
          : ExpertFlops(*decoder, layer, x, workload.samples * workload.sequence_length);
  return speed;
}

}  // namespace vernier::calib

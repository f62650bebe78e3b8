#include "calib/expert_pass.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "calib/bad_input_finder.h"
#include "calib/budget/loop_constants.h"
#include "calib/device_forward.h"

namespace vernier::calib {
namespace {

std::vector<std::vector<int64_t>> SplitIntoGroups(const std::vector<int64_t>& experts,
                                                  int64_t per_group) {
  std::vector<std::vector<int64_t>> groups;
  for (size_t i = 0; i < experts.size(); ++i) {
    if (i % static_cast<size_t>(per_group) == 0) groups.emplace_back();
    groups.back().push_back(experts[i]);
  }
  return groups;
}

// Calls use(begin, end) for at most kExpertRows rows at a time.
template <class Use>
void ForRows(int64_t rows, Use use) {
  for (int64_t begin = 0; begin < rows; begin += kExpertRows) {
    use(begin, std::min(begin + kExpertRows, rows));
  }
}

// Sees nothing, but replaces inputs as `tap` does.
class Unseen final : public Tap {
 public:
  explicit Unseen(Tap& tap) : tap_(tap) {}
  at::Tensor Replace(std::string_view module, const at::Tensor& x) override {
    return tap_.Replace(module, x);
  }

 private:
  Tap& tap_;
};

std::string ExpertName(int64_t layer, int64_t expert) {
  return fmt::format("layer {}, routed expert {}", layer, expert);
}

}  // namespace

struct ExpertPass::Group {
  const std::vector<int64_t>& experts;
  // Of each expert, on the device; empty while they are not loaded.
  std::vector<ExpertWeights> weights;
};

// Samples of which an expert computes all rows at once, on the device.
struct ExpertPass::Chunk {
  Batch samples;
  std::shared_ptr<RoutedRows> routed;
  at::Tensor x;  // [T, D] inputs of the experts
  at::Tensor y;  // [T, D] F32: the sums, added to in place
};

ExpertPass::ExpertPass(const Decoder& decoder, const Batches& chunks, ExpertPassOptions options,
                       LayerState& state, NonFiniteGuard& guard)
    : decoder_(decoder),
      chunks_(chunks),
      options_(std::move(options)),
      state_(state),
      guard_(guard),
      samples_(chunks.All()),
      chosen_(static_cast<size_t>(state.shape().experts)) {
  for (const Batch& samples : samples_) {
    auto routed = std::make_shared<RoutedRows>(Route(samples));
    for (size_t expert = 0; expert < chosen_.size(); ++expert) {
      chosen_[expert] += routed->Count(static_cast<int64_t>(expert));
    }
    if (samples_.size() == 1) routed_ = std::move(routed);
  }
}

RoutedRows ExpertPass::Route(const Batch& samples) const {
  const auto rows = [&](LayerPart part) {
    return chunks_.Get(state_.part(part), samples).flatten(0, 1);
  };
  return {rows(LayerPart::kRoutingExperts), rows(LayerPart::kRoutingWeights),
          state_.shape().experts};
}

void ExpertPass::Run(const std::function<void()>& group_done) const {
  const std::vector<int64_t> left = ExpertsLeft();
  const auto groups = SplitIntoGroups(left, std::max<int64_t>(1, options_.experts_per_group));
  const bool streams = decoder_.ReadAhead(
      {.layer = options_.layer, .experts = left, .next_layer = options_.next_layer});
  const auto load = [&](size_t group) {
    return std::async(std::launch::async, [&, group] { return Load(groups[group]); });
  };
  std::future<std::vector<ExpertWeights>> next;
  if (!streams && !groups.empty()) next = load(0);
  for (size_t i = 0; i < groups.size(); ++i) {
    Group group{groups[i], std::vector<ExpertWeights>(groups[i].size())};
    if (!streams) {
      const StageClock clock(options_.times, "expert weights");
      group.weights = next.get();
      if (i + 1 < groups.size()) next = load(i + 1);
    }
    RunGroup(group);
    state_.MoveTo({LayerStage::kExperts, groups[i].back() + 1});
    if (i + 1 < groups.size()) group_done();
  }
  state_.MoveTo({LayerStage::kExperts, state_.shape().experts});
  group_done();
}

std::vector<int64_t> ExpertPass::ExpertsLeft() const {
  std::vector<int64_t> left;
  for (int64_t expert = state_.place().next; expert < state_.shape().experts; ++expert) {
    const bool chosen = chosen_[static_cast<size_t>(expert)] > 0;
    if (options_.all_experts || chosen) left.push_back(expert);
  }
  return left;
}

std::vector<ExpertWeights> ExpertPass::Load(const std::vector<int64_t>& experts) const {
  std::vector<ExpertWeights> weights(experts.size());
  tbb::parallel_for(size_t{0}, experts.size(), [&](size_t i) {
    weights[i] = decoder_.LoadExpert(options_.layer, experts[i]);
  });
  return weights;
}

const ExpertWeights& ExpertPass::WeightsOf(Group& group, size_t i) const {
  const StageClock clock(options_.times, "expert weights");
  ExpertWeights& weights = group.weights[i];
  if (weights.empty()) weights = decoder_.LoadExpert(options_.layer, group.experts[i]);
  for (at::Tensor& weight : weights) weight = weight.to(chunks_.device());
  return weights;
}

ExpertPass::Chunk ExpertPass::ChunkAt(size_t index) const {
  const Batch& samples = samples_[index];
  const auto rows = [&](LayerPart part) {
    return chunks_.Get(state_.part(part), samples).flatten(0, 1);
  };
  return {samples, routed_ ? routed_ : std::make_shared<RoutedRows>(Route(samples)),
          rows(LayerPart::kExpertInput), rows(LayerPart::kSum)};
}

void ExpertPass::RunGroup(Group& group) const {
  const StageClock clock(options_.times, "experts, their weights included");
  SampleBuffer& next_sum = state_.NextSum();
  bool good = true;
  for (size_t index = 0; index < samples_.size() && good; ++index) {
    Chunk chunk = ChunkAt(index);
    for (size_t i = 0; i < group.experts.size(); ++i) {
      RunExpert(group, i, chunk);
      if (index + 1 == samples_.size()) group.weights[i].clear();
    }
    guard_.SetSamples(chunk.samples.Samples());
    chunk.y = guard_.Clamp(fmt::format("layers.{}", options_.layer), chunk.y);
    good = guard_.IsGood(chunk.y);
    next_sum.Put(chunk.samples.first, chunk.y.view({chunk.samples.count, chunks_.length(), -1}));
  }
  decoder_.CheckWeights();
  if (!good || !guard_.TapIsGood()) FindBad(group);
  if (!good) {
    throw Error(ErrorCode::kBadActivation, fmt::format("layer {}", options_.layer),
                "the sum of its experts' outputs overflows",
                "Check the checkpoint with `vernier validate`, or go on with --non-finite clamp");
  }
  state_.SumDone();
}

void ExpertPass::RunExpert(Group& group, size_t i, const Chunk& chunk) const {
  const ExpertWeights& weights = WeightsOf(group, i);
  if (!options_.all_experts) return AddRouted(group.experts[i], weights, chunk, guard_);
  ObserveAll(group.experts[i], weights, chunk, [this](const at::Tensor& samples) -> Tap& {
    guard_.SetSamples(samples);
    return guard_;
  });
  Unseen unseen(guard_);
  AddRouted(group.experts[i], weights, chunk, unseen);
}

void ExpertPass::ObserveAll(int64_t expert, const ExpertWeights& weights, const Chunk& chunk,
                            const std::function<Tap&(const at::Tensor& samples)>& tap_of) const {
  const at::Tensor real = chunks_.Tokens(chunk.samples).RealRows(chunk.x);
  const at::Tensor samples = chunks_.SamplesOfTokens(chunk.samples);
  ForRows(real.size(0), [&](int64_t begin, int64_t end) {
    decoder_.RunExpert(options_.layer, expert, weights, real.slice(0, begin, end),
                       tap_of(samples.slice(0, begin, end)));
  });
}

void ExpertPass::AddRouted(int64_t expert, const ExpertWeights& weights, const Chunk& chunk,
                           Tap& tap) const {
  const RoutedRows::Rows all = chunk.routed->Of(expert);
  ForRows(all.count(), [&](int64_t begin, int64_t end) {
    const RoutedRows::Rows routed = all.Slice(begin, end);
    if (guard_.clamps()) guard_.SetSamples(SamplesOfRows(chunk, routed.rows));
    const at::Tensor out = decoder_.RunExpert(options_.layer, expert, weights,
                                              chunk.x.index_select(0, routed.rows), tap);
    if (const auto device = DeviceForward::For(out);
        device && chunk.routed->Distinct() && chunk.y.is_contiguous()) {
      device->AddRows(out, routed.weights, routed.rows, chunk.y);
    } else {
      chunk.y.index_add_(0, routed.rows, out * routed.weights);
    }
  });
}

// The sample of each row: I64, on the host.
at::Tensor ExpertPass::SamplesOfRows(const Chunk& chunk, const at::Tensor& rows) const {
  return chunk.samples.first + rows.cpu().div(chunks_.length(), "floor");
}

// Every chunk again, looking at each step.
void ExpertPass::FindBad(Group& group) const {
  for (size_t index = 0; index < samples_.size(); ++index) {
    const Chunk chunk = ChunkAt(index);
    std::optional<BadInputFinder> finder;
    const auto find = [&](const at::Tensor& samples) -> Tap& {
      return finder.emplace(options_.layer, samples);
    };
    for (size_t i = 0; i < group.experts.size(); ++i) {
      const ExpertWeights& weights = WeightsOf(group, i);
      CheckExpert(group.experts[i], weights, chunk);
      // An expert may fail on a token that it does not get.
      if (options_.all_experts) ObserveAll(group.experts[i], weights, chunk, find);
    }
  }
}

void ExpertPass::CheckExpert(int64_t expert, const ExpertWeights& weights,
                             const Chunk& chunk) const {
  const RoutedRows::Rows all = chunk.routed->Of(expert);
  const std::string name = ExpertName(options_.layer, expert);
  ForRows(all.count(), [&](int64_t begin, int64_t end) {
    const RoutedRows::Rows routed = all.Slice(begin, end);
    BadInputFinder finder(options_.layer, SamplesOfRows(chunk, routed.rows));
    const at::Tensor out = decoder_.RunExpert(options_.layer, expert, weights,
                                              chunk.x.index_select(0, routed.rows), finder);
    finder.Check(name, "an output", out);
    finder.Check(name, "a routing weight", routed.weights);
  });
}

}  // namespace vernier::calib

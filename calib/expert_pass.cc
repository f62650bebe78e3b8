#include "calib/expert_pass.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <future>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "calib/bad_input_finder.h"

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
  const std::vector<ExpertWeights>& weights;  // of each expert, on the device
};

// The rows of one batch that chose an expert, with their routing weights.
struct ExpertPass::Rows {
  at::Tensor rows;     // [r] I64, on the host
  at::Tensor weights;  // [r, 1] F32, on the device
};

ExpertPass::ExpertPass(const Decoder& decoder, const Batches& batches, ExpertPassOptions options,
                       LayerState& state, NonFiniteGuard& guard)
    : decoder_(decoder), batches_(batches), options_(options), state_(state), guard_(guard) {}

void ExpertPass::Run(const std::function<void()>& group_done) const {
  const auto groups =
      SplitIntoGroups(ExpertsLeft(), std::max<int64_t>(1, options_.experts_per_group));
  const auto load = [&](size_t group) {
    return std::async(std::launch::async, [&, group] { return Load(groups[group]); });
  };
  std::future<std::vector<ExpertWeights>> next;
  if (!groups.empty()) next = load(0);
  for (size_t group = 0; group < groups.size(); ++group) {
    std::vector<ExpertWeights> weights = next.get();
    if (group + 1 < groups.size()) next = load(group + 1);
    for (ExpertWeights& expert : weights) {
      for (at::Tensor& weight : expert) weight = weight.to(batches_.device());
    }
    RunGroup({groups[group], weights});
    state_.MoveTo({LayerStage::kExperts, groups[group].back() + 1});
    if (group + 1 < groups.size()) group_done();
  }
  state_.MoveTo({LayerStage::kExperts, state_.shape().experts});
  group_done();
}

std::vector<int64_t> ExpertPass::ExpertsLeft() const {
  at::Tensor tokens = at::zeros({state_.shape().experts}, at::kLong);
  for (int64_t first = 0; first < batches_.samples(); first = batches_.At(first).end()) {
    const Batch batch = batches_.At(first);
    const at::Tensor chosen =
        state_.part(LayerPart::kRoutingExperts).Get(batch.first, batch.count).to(at::kLong);
    tokens += at::bincount(chosen.masked_select(chosen.ge(0)), {}, state_.shape().experts);
  }
  std::vector<int64_t> left;
  for (int64_t expert = state_.place().next; expert < state_.shape().experts; ++expert) {
    if (options_.all_experts || tokens.data_ptr<int64_t>()[expert] > 0) left.push_back(expert);
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

void ExpertPass::RunGroup(const Group& group) const {
  SampleBuffer& next_sum = state_.NextSum();
  bool good = true;
  for (int64_t first = 0; first < batches_.samples() && good;) {
    const Batch batch = batches_.At(first);
    const at::Tensor x = batches_.Get(state_.part(LayerPart::kExpertInput), batch).flatten(0, 1);
    at::Tensor y = batches_.Get(state_.part(LayerPart::kSum), batch).flatten(0, 1);
    if (options_.all_experts) {
      guard_.SetSamples(batches_.SamplesOfTokens(batch));
      ObserveAll(group, batch, x, guard_);
    }
    Add(group, batch, x, y);
    guard_.SetSamples(batch.Samples());
    y = guard_.Clamp(fmt::format("layers.{}", options_.layer), y);
    good = guard_.IsGood(y);
    next_sum.Put(batch.first, y.view({batch.count, batches_.length(), -1}));
    first = batch.end();
  }
  if (!good || !guard_.TapIsGood()) FindBad(group);
  if (!good) {
    throw Error(ErrorCode::kBadActivation, fmt::format("layer {}", options_.layer),
                "the sum of its experts' outputs overflows",
                "Check the checkpoint with `vernier validate`, or go on with --non-finite clamp");
  }
  state_.SumDone();
}

void ExpertPass::ObserveAll(const Group& group, const Batch& batch, const at::Tensor& x,
                            Tap& tap) const {
  const at::Tensor real = batches_.Tokens(batch).RealRows(x);
  for (size_t i = 0; i < group.experts.size(); ++i) {
    decoder_.RunExpert(options_.layer, group.experts[i], group.weights[i], real, tap);
  }
}

at::Tensor ExpertPass::RunRouted(const Group& group, size_t i, const at::Tensor& x,
                                 const at::Tensor& rows, Tap& tap) const {
  return decoder_.RunExpert(options_.layer, group.experts[i], group.weights[i],
                            x.index_select(0, rows), tap);
}

void ExpertPass::Add(const Group& group, const Batch& batch, const at::Tensor& x,
                     at::Tensor& y) const {
  Unseen unseen(guard_);
  Tap& tap = options_.all_experts ? static_cast<Tap&>(unseen) : guard_;
  for (size_t i = 0; i < group.experts.size(); ++i) {
    const Rows routed = RowsOf(batch, group.experts[i]);
    if (routed.rows.size(0) == 0) continue;
    guard_.SetSamples(SamplesOfRows(batch, routed));
    const at::Tensor rows = routed.rows.to(batches_.device());
    const at::Tensor out = RunRouted(group, i, x, rows, tap);
    y.index_add_(0, rows, out.to(at::kFloat) * routed.weights);
  }
}

// The sample of each row: I64, on the host.
at::Tensor ExpertPass::SamplesOfRows(const Batch& batch, const Rows& routed) const {
  return batch.first + routed.rows.div(batches_.length(), "floor");
}

ExpertPass::Rows ExpertPass::RowsOf(const Batch& batch, int64_t expert) const {
  const at::Tensor chosen =
      state_.part(LayerPart::kRoutingExperts).Get(batch.first, batch.count).flatten(0, 1);
  const at::Tensor hits = chosen.eq(expert).nonzero();  // [r, 2]: row, choice; rows ascend
  const at::Tensor rows = hits.select(1, 0);
  const at::Tensor weights = state_.part(LayerPart::kRoutingWeights)
                                 .Get(batch.first, batch.count)
                                 .flatten(0, 1)
                                 .index({rows, hits.select(1, 1)});
  return {rows, weights.unsqueeze(1).to(batches_.device())};
}

// Every batch again, looking at each step.
void ExpertPass::FindBad(const Group& group) const {
  for (int64_t first = 0; first < batches_.samples(); first = batches_.At(first).end()) {
    const Batch batch = batches_.At(first);
    const at::Tensor x = batches_.Get(state_.part(LayerPart::kExpertInput), batch).flatten(0, 1);
    for (size_t i = 0; i < group.experts.size(); ++i) CheckExpert(group, i, batch, x);
    // An expert may fail on a token that it does not get.
    BadInputFinder finder(options_.layer, batches_.SamplesOfTokens(batch));
    if (options_.all_experts) ObserveAll(group, batch, x, finder);
  }
}

void ExpertPass::CheckExpert(const Group& group, size_t i, const Batch& batch,
                             const at::Tensor& x) const {
  const Rows routed = RowsOf(batch, group.experts[i]);
  if (routed.rows.size(0) == 0) return;
  BadInputFinder finder(options_.layer, SamplesOfRows(batch, routed));
  const at::Tensor out = RunRouted(group, i, x, routed.rows.to(batches_.device()), finder);
  const std::string name = ExpertName(options_.layer, group.experts[i]);
  finder.Check(name, "an output", out);
  finder.Check(name, "a routing weight", routed.weights);
}

}  // namespace vernier::calib

// The delta rule in chunks against its recurrence, a position at a time.
#include "calib/families/delta_rule.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/calib/model_support.h"

namespace vernier::calib {
namespace {

constexpr int64_t kRuleHeads = 3, kRuleShared = 2, kRuleKeyDim = 12, kRuleValueDim = 8;

at::Tensor NewRuleState() {
  return at::zeros({kRuleHeads, kRuleShared, kRuleKeyDim, kRuleValueDim});
}

// Keys of length 1; decays between nothing and most of a state.
DeltaRuleInputs RandomRuleInputs(int64_t positions) {
  at::manual_seed(7);
  const at::Tensor keys = at::randn({kRuleHeads, positions, kRuleKeyDim});
  return {.queries = at::randn({kRuleHeads, positions, kRuleKeyDim}),
          .keys = keys / keys.norm(2, {-1}, /*keepdim=*/true),
          .values = at::randn({kRuleHeads, kRuleShared, positions, kRuleValueDim}),
          .log_decay = -at::rand({kRuleHeads, kRuleShared, positions}).pow(4) * 3,
          .rates = at::rand({kRuleHeads, kRuleShared, positions})};
}

DeltaRuleInputs RulePositions(const DeltaRuleInputs& in, int64_t begin, int64_t end) {
  return {.queries = in.queries.slice(1, begin, end),
          .keys = in.keys.slice(1, begin, end),
          .values = in.values.slice(2, begin, end),
          .log_decay = in.log_decay.slice(2, begin, end),
          .rates = in.rates.slice(2, begin, end)};
}

// As the header writes it, in F64.
at::Tensor RuleRecurrence(const DeltaRuleInputs& in, at::Tensor& state) {
  state = state.to(at::kDouble);
  std::vector<at::Tensor> outputs;
  for (int64_t t = 0; t < in.values.size(2); ++t) {
    const auto row = [&](const at::Tensor& x) {
      return x.select(1, t).to(at::kDouble).unsqueeze(1).unsqueeze(-1);  // [N, 1, dk, 1]
    };
    const auto scalar = [&](const at::Tensor& x) {
      return x.select(2, t).to(at::kDouble).unsqueeze(-1).unsqueeze(-1);
    };
    state = state * scalar(in.log_decay).exp();
    const at::Tensor held = (state * row(in.keys)).sum(2, /*keepdim=*/true);
    const at::Tensor learnt = (in.values.select(2, t).unsqueeze(2) - held) * scalar(in.rates);
    state = state + row(in.keys) * learnt;
    outputs.push_back((state * row(in.queries)).sum(2));
  }
  return at::stack(outputs, 2);
}

TEST(DeltaRule, EqualsItsRecurrenceForAnyLength) {
  for (const int64_t positions : {1, 2, 7, 64, 65, 150}) {
    const DeltaRuleInputs inputs = RandomRuleInputs(positions);
    at::Tensor state = NewRuleState(), expected_state = NewRuleState();
    const at::Tensor out = RunDeltaRule(inputs, state);
    const at::Tensor expected = RuleRecurrence(inputs, expected_state);
    EXPECT_EQ(out.sizes(), expected.sizes());
    EXPECT_LT(RelativeError(out, expected), 1e-6) << positions;
    EXPECT_LT(RelativeError(state, expected_state), 1e-6) << positions;
  }
}

TEST(DeltaRule, GoesOnFromAState) {
  const DeltaRuleInputs inputs = RandomRuleInputs(150);
  at::Tensor whole_state = NewRuleState(), state = NewRuleState();
  const at::Tensor whole = RunDeltaRule(inputs, whole_state);
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (const int64_t end : {1, 40, 41, 128, 150}) {
    parts.push_back(RunDeltaRule(RulePositions(inputs, begin, end), state));
    begin = end;
  }
  EXPECT_LT(RelativeError(at::cat(parts, 2), whole), 1e-6);
  EXPECT_LT(RelativeError(state, whole_state), 1e-6);
}

// Keys that are all the same, learnt at once: what a chunk's keys overwrite of each other is then
// largest, and the last value alone is held.
TEST(DeltaRule, HoldsTheLastValueOfAKey) {
  DeltaRuleInputs inputs = RandomRuleInputs(100);
  inputs.keys = inputs.keys.slice(1, 0, 1).expand({-1, 100, -1}).contiguous();
  inputs.queries = inputs.keys;
  inputs.log_decay.zero_();
  inputs.rates.fill_(1);
  at::Tensor state = NewRuleState();
  EXPECT_LT(RelativeError(RunDeltaRule(inputs, state), inputs.values), 1e-5);
}

}  // namespace
}  // namespace vernier::calib

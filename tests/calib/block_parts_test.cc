// Parts of layers that few families have: gates, sinks, rotations by length.
#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "calib/families/rope.h"
#include "calib/families/scaled_attention.h"
#include "calib/families/sequence_rope.h"
#include "calib/families/swiglu.h"
#include "checkpoint/families/decoder_config.h"
#include "tests/calib/model_support.h"

namespace vernier::calib {
namespace {

at::Tensor Normal(at::IntArrayRef shape) {
  at::manual_seed(7);
  return at::randn(shape);
}

// A sink is a key of its head that all queries see and whose value is zero.
TEST(ScaledAttention, SinksTakeTheirShareOfEachHead) {
  const at::Tensor q = Normal({2, 13, 6, 8}), k = Normal({2, 13, 3, 8}), v = Normal({2, 13, 3, 4});
  const at::Tensor sinks = Normal({6}) * 3;
  KeyValues past(13);
  past.Append(k, v);
  for (const int64_t window : {0, 5}) {
    // With one more value of 1, the share that is left shows in what attention puts out.
    const at::Tensor ones = at::ones({2, 13, 3, 1});
    KeyValues with_ones(13);
    with_ones.Append(k, at::cat({v, ones}, -1));
    for (const int64_t chunk : {1, 13}) {
      const auto run = [&](const KeyValues& keys, const at::Tensor& extra) {
        return InChunks(13, chunk, [&](int64_t begin, int64_t end) {
          return keys.Attend(q.slice(1, begin, end), begin, window, 0.3, {.sinks = extra});
        });
      };
      const at::Tensor plain = run(past, {}), sunk = run(with_ones, sinks);
      const at::Tensor share = sunk.slice(-1, 4);
      EXPECT_LT(RelativeError(sunk.slice(-1, 0, 4), plain * share), 1e-6);
      // The first query sees one key: its share is a sigmoid.
      const at::Tensor score = (q[0][0] * k[0][0].repeat_interleave(2, 0)).sum(-1) * 0.3;
      EXPECT_LT(RelativeError(share[0][0].squeeze(-1), at::sigmoid(score - sinks)), 1e-6);
    }
  }
}

// Sequences up to the original positions turn by one set of factors, longer ones by the other,
// whichever others come with them.
TEST(SequenceRope, ChoosesFactorsBySequence) {
  const checkpoint::RopeConfig config = {.type = checkpoint::RopeType::kLong,
                                         .theta = 100,
                                         .original_positions = 7,
                                         .short_factors = {1, 1.5, 2},
                                         .long_factors = {2, 4, 8}};
  const SequenceRope rope(config, 6);
  const at::Tensor x = Normal({2, 9, 3, 6});
  const auto rotated = [&](std::vector<int64_t> lengths, const at::Tensor& heads) {
    const int64_t sequences = heads.size(0);
    return rope.For({{}, {}, std::move(lengths)}, sequences, 0, 9, at::kCPU)
        .Rotate(heads, 0, RopePairs::kHalves);
  };
  const at::Tensor both = rotated({7, 9}, x);
  const at::Tensor near = rotated({7}, x.slice(0, 0, 1)), far = rotated({9}, x.slice(0, 1));
  EXPECT_TRUE(at::equal(both, at::cat({near, far})));
  const RopeTable by_short = MakeRopeTable(RopeFrequencies(config, 6), 0, 9, at::kCPU);
  EXPECT_TRUE(at::equal(near, Rotate(x.slice(0, 0, 1), by_short, true, RopePairs::kHalves)));
  EXPECT_GT(RelativeError(far, Rotate(x.slice(0, 1), by_short, true, RopePairs::kHalves)), 0.1);
  EXPECT_TRUE(at::equal(rotated({}, x.slice(0, 1)), far)) << "as long as the batch";
}

TEST(Swiglu, GatesAreWhatTheConfigSays) {
  const at::Tensor gate = at::tensor({-2.0f, 0.5f, 9.0f}), up = at::tensor({-9.0f, 2.0f, 9.0f});
  const auto product = [&](const checkpoint::GateConfig& config, int64_t i) {
    return GatedProduct(gate, up, config)[i].item<double>();
  };
  EXPECT_TRUE(at::equal(GatedProduct(gate, up, {}), SwigluProduct(gate, up)));
  EXPECT_TRUE(at::equal(GatedProduct(gate, up, {.limit = 3}), SwigluProduct(gate, up, 3)));
  const auto normal = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); };
  EXPECT_NEAR(product({.kind = checkpoint::GateKind::kGelu}, 0), -2 * normal(-2) * -9, 1e-5);
  const double inner = std::sqrt(2 / 3.14159265358979) * (0.5 + 0.044715 * 0.125);
  EXPECT_NEAR(product({.kind = checkpoint::GateKind::kGeluTanh}, 1),
              0.25 * (1 + std::tanh(inner)) * 2, 1e-6);
  const checkpoint::GateConfig limited = {.alpha = 1.702, .limit = 7, .up_offset = 1};
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  EXPECT_NEAR(product(limited, 0), -2 * sigmoid(-2 * 1.702) * (1 - 7), 1e-6);
  EXPECT_NEAR(product(limited, 2), 7 * sigmoid(7 * 1.702) * 8, 1e-4);
}

}  // namespace
}  // namespace vernier::calib

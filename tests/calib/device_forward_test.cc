// The device's forward kernels against what libtorch's operators make on the CPU: as C++ on the
// CPU, launched as on a device, and with a CUDA device also there.
#include "calib/device_forward.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "calib/families/rms_norm.h"
#include "calib/families/rope.h"
#include "calib/families/swiglu.h"
#include "quantizers/float_formats.h"
#include "tests/calib/cuda_on_cpu.h"
#include "tests/calib/loop_support.h"
#include "tests/calib/model_support.h"

namespace vernier::calib {
namespace {

namespace forward_kernel {

using namespace cuda;
#include "calib/common_kernel.cu"
#include "calib/forward_kernel.cu"

const KernelsOnCpu& OnCpu() {
  static const KernelsOnCpu kernels({
      {"normalize_bf16", {MakeKernel(normalize_bf16), /*waits=*/true}},
      {"normalize_bf16_to_f32", {MakeKernel(normalize_bf16_to_f32), /*waits=*/true}},
      {"normalize_f32", {MakeKernel(normalize_f32), /*waits=*/true}},
      {"softmax_before", {MakeKernel(softmax_before), /*waits=*/true}},
      {"softmax_visible", {MakeKernel(softmax_visible), /*waits=*/true}},
      {"add_rows_bf16", {MakeKernel(add_rows_bf16)}},
      {"add_rows_f32", {MakeKernel(add_rows_f32)}},
      {"add_bf16", {MakeKernel(add_bf16)}},
      {"add_bf16_f32", {MakeKernel(add_bf16_f32)}},
      {"add_f32", {MakeKernel(add_f32)}},
      {"swiglu_bf16", {MakeKernel(swiglu_bf16)}},
      {"swiglu_f32", {MakeKernel(swiglu_f32)}},
      {"rotate_bf16", {MakeKernel(rotate_bf16)}},
      {"rotate_f32", {MakeKernel(rotate_f32)}},
      {"join_streams_bf16", {MakeKernel(join_streams_bf16)}},
      {"join_streams_f32", {MakeKernel(join_streams_f32)}},
      {"mix_streams_bf16", {MakeKernel(mix_streams_bf16)}},
      {"mix_streams_bf16_f32", {MakeKernel(mix_streams_bf16_f32)}},
      {"mix_streams_f32", {MakeKernel(mix_streams_f32)}},
      {"largest_bf16", {MakeKernel(largest_bf16), /*waits=*/true}},
      {"largest_f32", {MakeKernel(largest_f32), /*waits=*/true}},
      {"decode_bf16", {MakeKernel(decode_bf16), /*waits=*/true}},
      {"decode_f32", {MakeKernel(decode_f32), /*waits=*/true}},
  });
  return kernels;
}

}  // namespace forward_kernel

static_assert(REDUCE_THREADS == kForwardThreads && CODES_AT_ONCE == kCodesOfThread &&
              FOURS_OF_THREAD == kFoursOfThread);

constexpr std::array kReals = {at::kFloat, at::kBFloat16};

// Calls `check` with the kernels on the CPU and, if there is one, on a CUDA device.
void WithKernels(
    const std::function<void(const DeviceForward& kernels, at::Device device)>& check) {
  check(DeviceForward(forward_kernel::OnCpu()), at::kCPU);
  if (!HasDevice(at::kCUDA)) return;
  const at::Device cuda(at::kCUDA, 0);
  const auto kernels = DeviceForward::For(cuda);
  ASSERT_TRUE(kernels) << DeviceForward::ProblemOf(cuda);
  check(*kernels, cuda);
}

at::Tensor SomeValues(at::IntArrayRef shape, at::ScalarType type = at::kFloat) {
  at::manual_seed(3);
  return at::randn(shape).to(type);
}

// Of results of `type`, rounded from sums that may be made in another order.
void ExpectClose(const at::Tensor& found, const at::Tensor& expected) {
  ASSERT_EQ(found.sizes(), expected.sizes());
  ASSERT_EQ(found.scalar_type(), expected.scalar_type());
  const bool f32 = expected.scalar_type() == at::kFloat;
  EXPECT_TRUE(at::allclose(found.cpu().to(at::kFloat), expected.to(at::kFloat), f32 ? 3e-6 : 8e-3,
                           f32 ? 1e-6 : 1e-3))
      << (found.cpu().to(at::kFloat) - expected.to(at::kFloat)).abs().max();
}

// Widths: of heads, of models, and such as do not divide into fours.
TEST(DeviceForward, NormalizesRows) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    for (const int64_t width : {4, 30, 128, 700, 2100}) {
      for (const at::ScalarType type : kReals) {
        const at::Tensor x = SomeValues({2, 3, width}, type) * 3, weight = SomeValues({width});
        const auto normalize = [&](const at::Tensor& factors, at::ScalarType out) {
          return kernels.Normalize(x.to(device), factors, 1e-3, out);
        };
        ExpectClose(normalize(weight.to(device), type), RmsNorm(x, weight, 1e-3));
        ExpectClose(normalize({}, type), RmsNormalize(x, 1e-3));
        ExpectClose(normalize({}, at::kFloat), RmsNormalizeF32(x, 1e-3));
      }
    }
  });
}

// A row is the same whatever comes with it.
TEST(DeviceForward, NoRowDependsOnOthers) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    const at::Tensor x = SomeValues({5, 96}, at::kBFloat16).to(device);
    const at::Tensor all = kernels.Normalize(x, {}, 1e-6, at::kFloat);
    EXPECT_TRUE(
        at::equal(kernels.Normalize(x.slice(0, 3, 4), {}, 1e-6, at::kFloat), all.slice(0, 3, 4)));
  });
}

TEST(DeviceForward, AddsAndRoundsOnce) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    for (const at::ScalarType type : kReals) {
      for (const at::ScalarType second : {type, at::kFloat}) {
        const at::Tensor x = SomeValues({3, 7, 11}, type), y = SomeValues({21, 11}, second) * 0.01;
        const at::Tensor sum = kernels.Add(x.to(device), y.to(device));
        EXPECT_TRUE(at::equal(sum.cpu(), (x.to(at::kFloat) + y.view(x.sizes())).to(type)));
      }
    }
  });
}

// Rows that are part of wider ones, as projections that were made together.
TEST(DeviceForward, TakesWhatIsNotContiguous) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    const at::Tensor wide = SomeValues({6, 23}), x = wide.slice(1, 1, 12), y = wide.slice(1, 12);
    const at::Tensor sum =
        kernels.Add(wide.to(device).slice(1, 1, 12), wide.to(device).slice(1, 12));
    EXPECT_TRUE(at::equal(sum.cpu(), x + y));
    const at::Tensor flat = SomeValues({25}).to(device).slice(0, 1);  // contiguous at an odd place
    EXPECT_TRUE(at::equal(kernels.Add(flat, flat), flat + flat));
  });
}

TEST(DeviceForward, SwigluClampsAndKeepsNan) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    for (const at::ScalarType type : kReals) {
      at::Tensor gate = SomeValues({5, 27}, type) * 6, up = SomeValues({5, 27}, type) * 2 - 1;
      gate[4][26] = up[0][0] = std::numeric_limits<float>::quiet_NaN();
      for (const double limit : {std::numeric_limits<double>::infinity(), 2.0}) {
        const at::Tensor found = kernels.Swiglu(gate.to(device), up.to(device), limit).cpu();
        const at::Tensor expected = SwigluProduct(gate, up, limit);
        EXPECT_TRUE(at::equal(found.isnan(), expected.isnan()));
        ExpectClose(found.nan_to_num(), expected.nan_to_num());
      }
    }
  });
}

TEST(DeviceForward, RotatesAsRopeDoes) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    const RopeTable table = MakeRopeTable(at::tensor({1.0F, 0.3F, 0.1F, 0.01F}), 4, 11, at::kCPU);
    for (const at::ScalarType type : kReals) {
      for (const RopePairs pairs : {RopePairs::kHalves, RopePairs::kNeighbours}) {
        for (const int64_t heads : {1, 5}) {
          for (const int64_t width : {8, 11, 28}) {
            const bool per_head = heads > 1;
            const at::Tensor heads_of = SomeValues({2, 7, heads, width}, type);
            const at::Tensor x = per_head ? heads_of : heads_of.squeeze(2);
            for (const RopePlace place : {RopePlace::kFirst, RopePlace::kLast}) {
              const int64_t begin = place == RopePlace::kFirst ? 0 : width - 8;
              const at::Tensor found =
                  kernels.Rotate(x.to(device), table.cos.to(device), table.sin.to(device), per_head,
                                 pairs == RopePairs::kNeighbours, begin);
              EXPECT_TRUE(at::equal(found.cpu(), Rotate(x, table, per_head, pairs, place)));
            }
          }
        }
      }
    }
  });
}

// Of queries [begin, begin + queries) of `group` heads each, over keys from `first` on.
at::Tensor PlainSoftmax(const at::Tensor& p, const DeviceForward::Before& sees, double scale,
                        const at::Tensor& sinks = {}) {
  at::Tensor scores = p * scale;
  for (int64_t row = 0; row < p.size(0); ++row) {
    const int64_t query = sees.begin + row / sees.group % sees.queries;
    for (int64_t i = 0; i < p.size(1); ++i) {
      const int64_t key = sees.first + i;
      const bool seen = key <= query && (sees.window == 0 || key > query - sees.window);
      if (!seen) scores[row][i] = -std::numeric_limits<float>::infinity();
    }
  }
  if (!sinks.defined()) return at::softmax(scores, -1);
  at::Tensor extra = at::empty({p.size(0), 1});
  for (int64_t row = 0; row < p.size(0); ++row) {
    const int64_t shared = row / sees.group / sees.queries % sees.shared;
    extra[row] = sinks[shared * sees.group + row % sees.group];
  }
  return at::softmax(at::cat({scores, extra}, -1), -1).slice(-1, 0, p.size(1));
}

TEST(DeviceForward, SoftmaxBeforeHasASinkOfEachHead) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    const at::Tensor sinks = SomeValues({6}) * 5;
    const DeviceForward::Before sees = {
        .group = 3, .queries = 4, .begin = 2, .first = 1, .window = 4, .shared = 2};
    const at::Tensor p = SomeValues({2 * 2 * 4 * 3, 5}) * 20;
    const at::Tensor found = p.to(device, /*non_blocking=*/false, /*copy=*/true);
    kernels.Softmax(found, sees, 0.25, sinks.to(device));
    ExpectClose(found, PlainSoftmax(p, sees, 0.25, sinks));
  });
}

TEST(DeviceForward, SoftmaxSeesWhatIsBefore) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    for (const int64_t window : {0, 1, 5}) {
      for (const int64_t queries : {1, 4}) {
        const DeviceForward::Before sees = {.group = 3,
                                            .queries = queries,
                                            .begin = 9,
                                            .first = window == 0 ? 0 : 5,
                                            .window = window};
        const at::Tensor p = SomeValues({2 * queries * 3, 9 + queries - sees.first}) * 20;
        const at::Tensor found = p.to(device, /*non_blocking=*/false, /*copy=*/true);
        kernels.Softmax(found, sees, 0.25);
        ExpectClose(found, PlainSoftmax(p, sees, 0.25));
      }
    }
  });
}

TEST(DeviceForward, SoftmaxHasASinkAndSeesWhatIsVisible) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    const at::Tensor p = SomeValues({2, 3, 4, 300}) * 10, sink = SomeValues({4}) * 3;
    at::Tensor visible = SomeValues({2, 3, 300}) > 0.5;
    visible[1][2].fill_(false);  // the sink has it all
    at::Tensor scores = (p * 0.5).masked_fill(visible.logical_not().unsqueeze(2),
                                              -std::numeric_limits<float>::infinity());
    const at::Tensor all = at::cat({scores, sink.view({1, 1, 4, 1}).expand({2, 3, 4, 1})}, -1);
    const at::Tensor found = p.to(device, /*non_blocking=*/false, /*copy=*/true);
    kernels.Softmax(found, visible.to(device), sink.to(device), 0.5);
    ExpectClose(found, at::softmax(all, -1).slice(-1, 0, 300));
  });
}

// More keys than a round of a block's threads takes, a number of them that has no fours, and scores
// that are no numbers.
TEST(DeviceForward, SoftmaxTakesAnyKeysAndShowsWhatIsBad) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    for (const int64_t keys : {1027, 2600}) {
      at::Tensor p = SomeValues({3, keys}) * 8;
      p[1][5] = std::numeric_limits<float>::quiet_NaN();
      p[2][7] = std::numeric_limits<float>::infinity();
      const at::Tensor found = p.to(device, /*non_blocking=*/false, /*copy=*/true);
      kernels.Softmax(found, {.begin = keys - 1}, 1);
      ExpectClose(found[0], at::softmax(p[0], -1));
      EXPECT_TRUE(found[1].isnan().all().item<bool>());
      EXPECT_TRUE(found[2].isnan().any().item<bool>());
      const at::Tensor with_sink = p.slice(0, 0, 1).to(device, false, true).view({1, 1, 1, keys});
      kernels.Softmax(with_sink, at::ones({1, 1, keys}, at::kBool).to(device),
                      at::zeros({1}).to(device), 1);
      const at::Tensor all = at::cat({p[0], at::zeros({1})});
      ExpectClose(with_sink.flatten(), at::softmax(all, -1).slice(0, 0, keys));
    }
  });
}

TEST(DeviceForward, NothingIsMadeOfNothing) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    const at::Tensor none = at::empty({0, 8}).to(device), one = at::ones({8}).to(device);
    EXPECT_EQ(kernels.Normalize(none, one, 1e-6, at::kFloat).size(0), 0);
    EXPECT_EQ(kernels.Add(none, none).size(0), 0);
    EXPECT_EQ(kernels.Swiglu(none, none, 1).size(0), 0);
    EXPECT_EQ(kernels.JoinStreams(none.view({0, 2, 4}), none.view({0, 8}).slice(1, 0, 2)).size(0),
              0);
    kernels.Softmax(none, {}, 1);
    kernels.AddRows(none, none.select(1, 0), none.select(1, 0).to(at::kLong), one.view({1, 8}));
    EXPECT_TRUE(at::equal(one.cpu(), at::ones({8})));
  });
}

TEST(DeviceForward, ABadInputShowsInItsRowAlone) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    at::Tensor x = SomeValues({3, 12});
    x[1][4] = std::numeric_limits<float>::quiet_NaN();
    const at::Tensor bad = kernels.Normalize(x.to(device), {}, 1e-6, at::kFloat).isnan().cpu();
    EXPECT_TRUE(bad[1].all().item<bool>());
    EXPECT_FALSE(bad[0].logical_or(bad[2]).any().item<bool>());
  });
}

TEST(DeviceForward, DecodesOnlyWhatIsThere) {
  DeviceForward::Stored stored = {.codes = at::zeros({64}, at::kByte),
                                  .scales = at::zeros({8}, at::kByte),
                                  .rows = 8,
                                  .columns = 16,
                                  .block_columns = 16};
  EXPECT_TRUE(DeviceForward::CanDecode(stored));
  stored.scales = at::zeros({7}, at::kByte);
  EXPECT_FALSE(DeviceForward::CanDecode(stored));
  stored.scales = at::zeros({33}, at::kByte).slice(0, 1);  // F32 at an odd place
  stored.scale = DeviceForward::Stored::Scale::kF32;
  EXPECT_FALSE(DeviceForward::CanDecode(stored));
}

TEST(DeviceForward, AddsRowsWhereTheyBelong) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    for (const at::ScalarType type : kReals) {
      for (const int64_t width : {10, 64}) {
        const at::Tensor x = SomeValues({3, width}, type), weights = SomeValues({3, 1});
        const at::Tensor rows = at::tensor({5, 0, 3}, at::kLong), y = SomeValues({6, width});
        const at::Tensor found = y.to(device, /*non_blocking=*/false, /*copy=*/true);
        kernels.AddRows(x.to(device), weights.to(device), rows.to(device), found);
        EXPECT_TRUE(at::equal(found.cpu(), y.index_add(0, rows, x * weights)));
      }
    }
  });
}

TEST(DeviceForward, JoinsAndMixesStreams) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    const at::Tensor post = SomeValues({6, 3}), comb = SomeValues({6, 3, 3}) * 0.5;
    for (const at::ScalarType type : kReals) {
      for (const at::ScalarType second : {type, at::kFloat}) {
        const at::Tensor streams = SomeValues({2, 3, 3, 20}, type), y = SomeValues({6, 20}, second);
        const at::Tensor wide = streams.to(at::kFloat).view({6, 3, 20});
        ExpectClose(kernels.JoinStreams(streams.to(device), post.to(device)),
                    (wide * post.unsqueeze(-1)).sum(1).to(type));
        const at::Tensor mixed = y.to(at::kFloat).unsqueeze(1) * post.unsqueeze(-1) +
                                 at::bmm(comb.transpose(1, 2), wide);
        ExpectClose(
            kernels.MixStreams(streams.to(device), y.to(device), post.to(device), comb.to(device)),
            mixed.view(streams.sizes()).to(type));
      }
    }
  });
}

// The largest may be anywhere, also in the last elements of more than one block of threads.
TEST(DeviceForward, FindsTheLargestMagnitude) {
  WithKernels([](const DeviceForward& kernels, at::Device device) {
    for (const at::ScalarType type : kReals) {
      for (const int64_t place : {0, 77, 8191, 8192, 10000}) {
        at::Tensor x = SomeValues({10001}, type);
        x[place] = -64;
        EXPECT_EQ(kernels.LargestMagnitude(x.to(device)).item<float>(), 64);
        x[10000 - place] = std::numeric_limits<float>::quiet_NaN();
        EXPECT_TRUE(std::isnan(kernels.LargestMagnitude(x.to(device)).item<float>()));
      }
    }
  });
}

// Bit for bit, but any NaN is one.
void ExpectSameBits(float found, float expected) {
  const bool nan = std::isnan(found) && std::isnan(expected);
  EXPECT_TRUE(nan || std::bit_cast<uint32_t>(found) == std::bit_cast<uint32_t>(expected))
      << found << " instead of " << expected;
}

float ScaleOf(DeviceForward::Stored::Scale scale, uint8_t code, float global) {
  return scale == DeviceForward::Stored::Scale::kE8m0 ? quantizers::E8m0ToFloat(code)
                                                      : quantizers::E4m3ToFloat(code) * global;
}

// Every byte of elements under every byte of scales.
TEST(DeviceForward, DecodesEveryCode) {
  using Scale = DeviceForward::Stored::Scale;
  constexpr float kGlobal = 0.75F;
  const at::Tensor bytes = at::arange(256, at::kByte);
  WithKernels([&](const DeviceForward& kernels, at::Device device) {
    for (const bool is_e4m3 : {true, false}) {
      const int64_t columns = is_e4m3 ? 256 : 512;
      for (const Scale scale : {Scale::kE8m0, Scale::kE4m3}) {
        const DeviceForward::Stored stored = {.codes = bytes.repeat({256}).to(device),
                                              .scales = bytes.to(device),
                                              .rows = 256,
                                              .columns = columns,
                                              .block_columns = columns,
                                              .is_e4m3 = is_e4m3,
                                              .scale = scale,
                                              .global = kGlobal};
        ASSERT_TRUE(DeviceForward::CanDecode(stored));
        const at::Tensor values = kernels.Decode(stored, at::kFloat).values.cpu();
        const auto found = values.accessor<float, 2>();
        for (int64_t row = 0; row < 256; ++row) {
          const float factor = ScaleOf(scale, static_cast<uint8_t>(row), kGlobal);
          for (int64_t i = 0; i < columns; ++i) {
            const auto nibble = static_cast<size_t>(i % 2 == 0 ? i / 2 & 15 : i / 2 >> 4);
            const float element = is_e4m3 ? quantizers::E4m3ToFloat(static_cast<uint8_t>(i))
                                          : quantizers::kE2m1Values[nibble];
            ExpectSameBits(found[row][i], element * factor);
          }
        }
      }
    }
  });
}

TEST(DeviceForward, ScalesBlocksAndFindsTheLargest) {
  using Scale = DeviceForward::Stored::Scale;
  const at::Tensor codes = at::tensor({0x21, 0x43, 0x65, 0x07}, at::kByte).repeat({10});
  const at::Tensor scales = at::tensor({1.0F, 2.0F, -0.5F, 3.0F});
  WithKernels([&](const DeviceForward& kernels, at::Device device) {
    for (const at::ScalarType type : kReals) {
      const DeviceForward::Stored stored = {
          .codes = codes.to(device),
          .scales = scales.to(type).view(at::kByte).to(device),
          .rows = 5,
          .columns = 16,
          .block_rows = 3,
          .block_columns = 8,
          .scale = type == at::kFloat ? Scale::kF32 : Scale::kBf16};
      const DeviceForward::Decoded decoded = kernels.Decode(stored, type);
      const at::Tensor row = at::tensor({.5F, 1.F, 1.5F, 2.F, 3.F, 4.F, 6.F, 0.F}).repeat({2});
      const at::Tensor factors = scales.view({2, 2}).repeat_interleave(8, 1);
      const at::Tensor expected = row * factors.index_select(0, at::tensor({0, 0, 0, 1, 1}));
      EXPECT_TRUE(at::equal(decoded.values.cpu().to(at::kFloat), expected));
      EXPECT_EQ(decoded.largest.item<float>(), 18);
    }
  });
}

TEST(DeviceForward, OthersDoItWithoutCuda) {
  EXPECT_FALSE(DeviceForward::For(at::kCPU));
  EXPECT_EQ(DeviceForward::ProblemOf(at::kCPU), "");
}

}  // namespace
}  // namespace vernier::calib

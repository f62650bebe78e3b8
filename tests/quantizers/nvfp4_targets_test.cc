// NVFP4's kernels give the bytes of the scalar definition on every instruction set.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "quantizers/float_formats.h"
#include "quantizers/nvfp4.h"
#include "quantizers/nvfp4_reference.h"
#include "quantizers/simd_targets.h"
#include "tests/quantizers/format_inputs.h"

namespace vernier::quantizers {
namespace {

struct Bytes {
  std::vector<uint8_t> packed;
  std::vector<uint8_t> scales;
  bool operator==(const Bytes&) const = default;
};

template <typename T, typename Quantizer>
Bytes RunQuantizer(Quantizer quantize, const std::vector<T>& values, int64_t columns,
                   const Nvfp4Options& options) {
  Bytes bytes{std::vector<uint8_t>(values.size() / 2), std::vector<uint8_t>(values.size() / 16)};
  quantize(std::span<const T>(values), columns, options, bytes.packed, bytes.scales);
  return bytes;
}

// How far the values of a case spread.
using Draw = std::function<float(std::mt19937&)>;

struct Distribution {
  const char* name;
  Draw draw;
};

float AnyFloat(std::mt19937& random) {
  return std::bit_cast<float>(static_cast<uint32_t>(random()));
}

float Normal(std::mt19937& random) { return std::normal_distribution<float>()(random); }

float HeavyTailed(std::mt19937& random) {
  return std::student_t_distribution<float>(2.0f)(random) * 0.02f;
}

// Spread over so many binades that block scales cover the whole of E4M3 and more.
float Wide(std::mt19937& random) {
  return std::ldexp(Normal(random), -static_cast<int>(random() % 28));
}

// On the grid of a power of two, with ties, zeros of both signs and blocks that more than one scale
// holds exactly.
float OnGrid(std::mt19937& random) {
  constexpr float kSteps[] = {0.0f, -0.0f, 0.25f, 0.5f, 0.75f, 1.25f, 1.75f,
                              2.5f, 3.0f,  3.5f,  5.0f, 6.0f,  1.5f};
  return std::copysign(kSteps[random() % std::size(kSteps)], Normal(random)) * 0x1p-6f;
}

// Far beyond what a global scale that suits Normal holds, and mostly one value per block.
float Far(std::mt19937& random) {
  return std::ldexp(Normal(random), static_cast<int>(random() % 128) - 80);
}

// Mostly zero, so that whole blocks are.
float Sparse(std::mt19937& random) { return random() % 40 == 0 ? Normal(random) : 0.0f; }

const Distribution kDistributions[] = {
    {"any", AnyFloat}, {"normal", Normal}, {"heavy", HeavyTailed}, {"wide", Wide},
    {"grid", OnGrid},  {"far", Far},       {"sparse", Sparse}};

std::vector<float> DrawValues(const Distribution& distribution, size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  // One magnitude per 80 values, so that blocks of one group have different scales.
  float magnitude = 1.0f;
  for (size_t i = 0; i < count; ++i) {
    if (i % 80 == 0) magnitude = std::ldexp(1.0f, -static_cast<int>(random() % 6));
    values[i] = distribution.draw(random) * magnitude;
  }
  return values;
}

std::vector<float> DrawImportance(int64_t columns, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> importance(static_cast<size_t>(columns));
  for (float& weight : importance) {
    weight = random() % 8 == 0 ? 0.0f : std::exp(2.0f * Normal(random));
  }
  std::fill_n(importance.begin(), 16, 0.0f);
  return importance;
}

// Means of x x^T over eight to 39 inputs, singular or not, of columns that deviate by 2^-6 to 1;
// some matrices and columns are 0.
std::vector<float> DrawLocalHessians(int64_t columns, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> matrices(static_cast<size_t>(columns) * 16);
  for (size_t first = 256; first < matrices.size(); first += 256) {
    float deviations[16];
    for (float& d : deviations) d = std::ldexp(1.0f, -static_cast<int>(random() % 7));
    if (random() % 4 == 0) deviations[random() % 16] = 0.0f;
    for (uint32_t samples = 8 + random() % 32; samples > 0; --samples) {
      float x[16];
      for (size_t i = 0; i < 16; ++i) x[i] = Normal(random) * deviations[i];
      for (size_t i = 0; i < 256; ++i) matrices[first + i] += x[i / 16] * x[i % 16];
    }
  }
  return matrices;
}

class Nvfp4Target : public ::testing::TestWithParam<int64_t> {
 protected:
  // 35 blocks of three rows are a whole number of groups on no target.
  static constexpr int64_t kColumns = 35 * 16;
  static constexpr size_t kCount = 3 * kColumns;

  template <typename T>
  void ExpectReferenceBytes(const std::vector<T>& values, const Nvfp4Options& options) {
    const auto kernel = [](auto&&... arguments) { QuantizeNvfp4(arguments...); };
    const auto definition = [](auto&&... arguments) { reference::QuantizeNvfp4(arguments...); };
    EXPECT_EQ(RunQuantizer(kernel, values, kColumns, options),
              RunQuantizer(definition, values, kColumns, options));
  }

  ForcedSimdTarget forced_{GetParam()};
};

TEST_P(Nvfp4Target, QuantisesAsTheDefinition) {
  const std::vector<float> importance = DrawImportance(kColumns, 5);
  for (const Distribution& distribution : kDistributions) {
    for (uint32_t seed = 0; seed < 12; ++seed) {
      const std::vector<float> values = DrawValues(distribution, kCount, seed);
      const std::vector<uint16_t> bf16 = ToBf16(values);
      for (const float global_scale : {1.0f / 256, 0.9f / 256, 3.1e-4f, 1.0f, 0x1p-40f, 1e30f}) {
        for (const auto search :
             {Nvfp4Search::kMax, Nvfp4Search::kFourOverSix, Nvfp4Search::kMse}) {
          SCOPED_TRACE(::testing::Message() << distribution.name << " " << seed << " "
                                            << global_scale << " " << static_cast<int>(search));
          ExpectReferenceBytes(values, {global_scale, search});
          ExpectReferenceBytes(bf16, {global_scale, search});
          ExpectReferenceBytes(bf16, {global_scale, search, importance});
        }
      }
    }
  }
}

TEST_P(Nvfp4Target, QuantisesByLocalHessianAsTheDefinition) {
  for (const Distribution& distribution : kDistributions) {
    for (uint32_t seed = 0; seed < 4; ++seed) {
      const std::vector<float> matrices = DrawLocalHessians(kColumns, seed);
      const std::vector<float> values = DrawValues(distribution, kCount, seed);
      for (const float global_scale : {1.0f / 256, 0.9f / 256, 3.1e-4f, 0x1p-40f, 1e30f}) {
        SCOPED_TRACE(::testing::Message()
                     << distribution.name << " " << seed << " " << global_scale);
        Nvfp4Options options{.global_scale = global_scale, .search = Nvfp4Search::kLocalHessian};
        ExpectReferenceBytes(values, options);
        options.local_hessian = matrices;
        ExpectReferenceBytes(values, options);
        ExpectReferenceBytes(ToBf16(values), options);
      }
    }
  }
}

TEST_P(Nvfp4Target, EveryNumberOfBlocks) {
  for (size_t blocks = 0; blocks <= 150; ++blocks) {
    const std::vector<float> values = DrawValues(kDistributions[1], blocks * 16, 3);
    const auto kernel = [](auto&&... arguments) { QuantizeNvfp4(arguments...); };
    const auto definition = [](auto&&... arguments) { reference::QuantizeNvfp4(arguments...); };
    const Nvfp4Options options{.global_scale = 0.01f};
    const Bytes bytes = RunQuantizer(kernel, values, 16, options);
    EXPECT_EQ(bytes, RunQuantizer(definition, values, 16, options)) << blocks;

    std::vector<float> restored(values.size());
    std::vector<float> expected(values.size());
    DequantizeNvfp4(bytes.packed, bytes.scales, 16, 0.01f, std::span<float>(restored));
    reference::DequantizeNvfp4(bytes.packed, bytes.scales, 0.01f, std::span<float>(expected));
    EXPECT_EQ(restored, expected) << blocks;
  }
}

// x next to a boundary between two codes, where an approximate quotient would show.
TEST_P(Nvfp4Target, ValuesNextToBoundariesRoundAsTheQuotient) {
  std::mt19937 random(11);
  std::vector<float> values(kCount);
  for (int round = 0; round < 200; ++round) {
    const float global_scale = std::ldexp(1.0f + random() % (1u << 23) * 0x1p-23f, -9);
    for (size_t i = 0; i < kCount; i += 16) {
      const float scale = E4m3ToFloat(static_cast<uint8_t>(8 + random() % 119)) * global_scale;
      values[i] = 6.0f * scale;
      for (size_t j = i + 1; j < i + 16; ++j) {
        constexpr float kBoundaries[] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
        const auto bits = std::bit_cast<uint32_t>(kBoundaries[random() % 7] * scale);
        const auto ulps = static_cast<uint32_t>(random() % 5);
        values[j] = std::bit_cast<float>(bits - 2 + ulps);
      }
    }
    ExpectReferenceBytes(values, {global_scale});
  }
}

TEST_P(Nvfp4Target, DequantisesAsTheDefinition) {
  std::vector<uint8_t> packed(256 * 8);
  std::vector<uint8_t> scales(256);
  for (size_t i = 0; i < packed.size(); ++i) packed[i] = static_cast<uint8_t>(i * 37 + i / 256);
  for (size_t i = 0; i < scales.size(); ++i) scales[i] = static_cast<uint8_t>(i);
  std::vector<float> values(16 * scales.size());
  std::vector<float> expected(values.size());
  std::vector<uint16_t> bf16(values.size());
  std::vector<uint16_t> expected_bf16(values.size());
  for (const float global_scale : {1.0f, 0.7f, 1.1e-5f, 0x1p-64f, 0x1p64f, 0x1p-117f, 1e36f}) {
    DequantizeNvfp4(packed, scales, 16, global_scale, std::span<float>(values));
    reference::DequantizeNvfp4(packed, scales, global_scale, std::span<float>(expected));
    DequantizeNvfp4(packed, scales, 16, global_scale, std::span<uint16_t>(bf16));
    reference::DequantizeNvfp4(packed, scales, global_scale, std::span<uint16_t>(expected_bf16));
    EXPECT_EQ(bf16, expected_bf16) << global_scale;
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(expected[i]))
          << global_scale << " " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Nvfp4Target, ::testing::ValuesIn(SimdTargets()),
                         [](const auto& info) { return SimdTargetName(info.param); });

}  // namespace
}  // namespace vernier::quantizers

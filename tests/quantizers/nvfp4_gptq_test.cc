// NVFP4 by GPTQ: the definition's bytes on every instruction set, and what they are good for.
#include "quantizers/nvfp4_gptq.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "quantizers/amax.h"
#include "quantizers/float_formats.h"
#include "quantizers/nvfp4.h"
#include "quantizers/nvfp4_gptq_reference.h"
#include "quantizers/nvfp4_reference.h"
#include "quantizers/nvfp4_search.h"
#include "quantizers/simd_targets.h"
#include "tests/quantizers/format_inputs.h"
#include "tests/quantizers/golden_file.h"

namespace vernier::quantizers {
namespace {

struct GptqBytes {
  std::vector<uint8_t> packed;
  std::vector<uint8_t> scales;
  bool operator==(const GptqBytes&) const = default;
};

// Of a kernel that is given values, columns, options and room for the bytes. What stood there
// before must not show.
template <typename T, typename Quantizer, typename Options>
GptqBytes Run(Quantizer quantize, const std::vector<T>& values, size_t columns,
              const Options& options) {
  GptqBytes bytes{std::vector<uint8_t>(values.size() / 2, 0xA5),
                  std::vector<uint8_t>(values.size() / 16, 0xA5)};
  quantize(std::span<const T>(values), static_cast<int64_t>(columns), options, bytes.packed,
           bytes.scales);
  return bytes;
}

template <typename T>
GptqBytes RunGptq(const std::vector<T>& values, const Nvfp4GptqOptions& options) {
  return Run([](auto&&... arguments) { QuantizeNvfp4Gptq(arguments...); }, values,
             options.order.size(), options);
}

template <typename T>
GptqBytes RunDefinition(const std::vector<T>& values, const Nvfp4GptqOptions& options) {
  return Run([](auto&&... arguments) { reference::QuantizeNvfp4Gptq(arguments...); }, values,
             options.order.size(), options);
}

GptqBytes RunPlain(const std::vector<float>& values, size_t columns, const Nvfp4Options& options) {
  return Run([](auto&&... arguments) { QuantizeNvfp4(arguments...); }, values, columns, options);
}

float NextNormal(std::mt19937& random) { return std::normal_distribution<float>()(random); }

std::vector<float> DrawGptqValues(size_t count, uint32_t seed, float deviation = 1.0f) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = deviation * NextNormal(random);
  return values;
}

// The mean of x x^T over inputs whose neighbours correlate and whose deviations are 1/4 to 4, plus
// 1 % of its mean diagonal.
std::vector<double> DrawWholeHessian(size_t columns, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<double> deviations(columns), x(columns), hessian(columns * columns);
  for (double& d : deviations) d = std::exp2(2.0 * random() / 0x1p31 - 2.0);
  constexpr int kSamples = 200;
  for (int sample = 0; sample < kSamples; ++sample) {
    const double common = NextNormal(random);
    for (double& value : x) value = NextNormal(random) + 0.5 * common;
    for (size_t i = columns - 1; i > 0; --i) x[i] += 0.9 * x[i - 1];
    for (size_t i = 0; i < columns; ++i) x[i] *= deviations[i];
    for (size_t i = 0; i < columns * columns; ++i) {
      hessian[i] += x[i / columns] * x[i % columns] / kSamples;
    }
  }
  double trace = 0;
  for (size_t i = 0; i < columns; ++i) trace += hessian[i * columns + i];
  for (size_t i = 0; i < columns; ++i) {
    hessian[i * columns + i] += 0.01 * trace / static_cast<double>(columns);
  }
  return hessian;
}

std::vector<int32_t> OrderOf(const std::vector<double>& hessian, size_t columns) {
  std::vector<double> diagonal(columns);
  for (size_t i = 0; i < columns; ++i) diagonal[i] = hessian[i * columns + i];
  return Nvfp4GptqOrder(diagonal);
}

// Upper R with R R^T = H, from the last column on.
std::vector<double> UpperRoot(const std::vector<double>& h, size_t n) {
  std::vector<double> r(n * n);
  for (size_t j = n; j-- > 0;) {
    for (size_t i = j + 1; i-- > 0;) {
      double sum = h[i * n + j];
      for (size_t k = j + 1; k < n; ++k) sum -= r[i * n + k] * r[j * n + k];
      r[i * n + j] = i == j ? std::sqrt(sum) : sum / r[j * n + j];
    }
  }
  return r;
}

// U = R^-1, since H^-1 = (R^-1)^T R^-1; of the permuted H.
std::vector<float> FactorOf(const std::vector<double>& hessian, const std::vector<int32_t>& order) {
  const size_t n = order.size();
  std::vector<double> permuted(n * n), u(n * n);
  for (size_t i = 0; i < n * n; ++i) {
    permuted[i] =
        hessian[static_cast<size_t>(order[i / n]) * n + static_cast<size_t>(order[i % n])];
  }
  const std::vector<double> r = UpperRoot(permuted, n);
  for (size_t j = 0; j < n; ++j) {
    u[j * n + j] = 1 / r[j * n + j];
    for (size_t i = j; i-- > 0;) {
      double sum = 0;
      for (size_t k = i + 1; k <= j; ++k) sum += r[i * n + k] * u[k * n + j];
      u[i * n + j] = -sum / r[i * n + i];
    }
  }
  return {u.begin(), u.end()};
}

// A layer's part of the options, and what they are made of.
struct Layer {
  explicit Layer(size_t columns, uint32_t seed)
      : hessian(DrawWholeHessian(columns, seed)),
        order(OrderOf(hessian, columns)),
        factor(FactorOf(hessian, order)) {}

  Nvfp4GptqOptions Options(float global_scale) const { return {global_scale, order, factor}; }

  std::vector<double> hessian;
  std::vector<int32_t> order;
  std::vector<float> factor;
};

float GlobalScaleOf(const std::vector<float>& values) {
  return Nvfp4GlobalScale(FindAmax(values).value, Nvfp4Search::kMse);
}

// tr(dW H dW^T), dW the error of what the bytes are dequantised to.
double Objective(const std::vector<float>& values, const std::vector<double>& hessian,
                 const GptqBytes& bytes, float global_scale, size_t columns) {
  std::vector<float> restored(values.size());
  DequantizeNvfp4(bytes.packed, bytes.scales, static_cast<int64_t>(columns), global_scale,
                  std::span<float>(restored));
  double sum = 0;
  for (size_t row = 0; row < values.size(); row += columns) {
    const auto error = [&](size_t i) { return double{values[row + i]} - restored[row + i]; };
    for (size_t i = 0; i < columns * columns; ++i) {
      sum += error(i / columns) * hessian[i] * error(i % columns);
    }
  }
  return sum;
}

std::vector<float> BlocksOfHessian(const std::vector<double>& hessian, size_t columns) {
  std::vector<float> blocks(columns * 16);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const size_t row = i / 16;
    blocks[i] = static_cast<float>(hessian[row * columns + row / 16 * 16 + i % 16]);
  }
  return blocks;
}

std::vector<float> DiagonalMatrix(const std::vector<float>& elements) {
  const size_t n = elements.size();
  std::vector<float> matrix(n * n);
  for (size_t i = 0; i < n; ++i) matrix[i * n + i] = elements[i];
  return matrix;
}

std::vector<int32_t> StorageOrder(size_t columns) {
  std::vector<int32_t> order(columns);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

class Nvfp4Gptq : public ::testing::TestWithParam<int64_t> {
 protected:
  void ExpectDefinition(const std::vector<float>& values, const Nvfp4GptqOptions& options) {
    EXPECT_EQ(RunGptq(values, options), RunDefinition(values, options));
    const std::vector<uint16_t> bf16 = ToBf16(values);
    EXPECT_EQ(RunGptq(bf16, options), RunDefinition(bf16, options));
  }

  ForcedSimdTarget forced_{GetParam()};
};

TEST_P(Nvfp4Gptq, GivesTheBytesOfTheDefinition) {
  // More than two panels of 128, and a part of one.
  constexpr size_t kColumns = 304, kRows = 37;
  const Layer layer(kColumns, 1);
  for (const NamedValues& input : FormatInputs(kRows * kColumns)) {
    for (const float global_scale : {1.0f / 256, 3.1e-4f, 1.0f, 0x1p-40f, 0x1p-70f, 1e30f}) {
      SCOPED_TRACE(input.name + " " + std::to_string(global_scale));
      ExpectDefinition(input.values, layer.Options(global_scale));
    }
  }
}

// Every number of vectors that a tile or the last group of a call may have.
TEST_P(Nvfp4Gptq, EveryNumberOfRows) {
  constexpr size_t kColumns = 48;
  const Layer layer(kColumns, 2);
  for (size_t rows = 0; rows < 82; ++rows) {
    SCOPED_TRACE(rows);
    ExpectDefinition(DrawGptqValues(rows * kColumns, 2), layer.Options(0.01f));
  }
}

TEST_P(Nvfp4Gptq, EveryNumberOfBlocks) {
  for (size_t columns = 16; columns <= 288; columns += 16) {
    SCOPED_TRACE(columns);
    const Layer layer(columns, 3);
    ExpectDefinition(DrawGptqValues(19 * columns, 3), layer.Options(0.003f));
  }
}

float NearBoundary(std::mt19937& random, float scale) {
  constexpr float kBoundaries[] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
  const float near = kBoundaries[random() % 7] * scale;
  const auto ulps = static_cast<uint32_t>(random() % 5);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(near) - 2 + ulps);
}

// Under the rule's scale the first value is next to a boundary between two codes and so, once it is
// compensated, is the second: where an approximate quotient or error would show.
TEST_P(Nvfp4Gptq, ValuesNextToBoundariesRoundAsTheDefinition) {
  constexpr size_t kColumns = 16, kRows = 96;
  Layer layer(kColumns, 14);
  layer.order = StorageOrder(kColumns);
  layer.factor = FactorOf(layer.hessian, layer.order);
  const float inverse = 1.0f / layer.factor[0], u = layer.factor[1];
  std::mt19937 random(14);
  for (int round = 0; round < 200; ++round) {
    const float global_scale = std::ldexp(1.0f + random() % (1u << 23) * 0x1p-23f, -9);
    std::vector<float> values = DrawGptqValues(kRows * kColumns, random());
    for (size_t i = 0; i < values.size(); i += kColumns) {
      const float scale = E4m3ToFloat(static_cast<uint8_t>(16 + random() % 100)) * global_scale;
      for (size_t j = i; j < i + kColumns; ++j) values[j] = std::fmod(values[j], 1.0f) * scale;
      values[i + kColumns - 1] = 6.0f * scale;
      values[i] = NearBoundary(random, scale);
      const float n = kE2m1Values[FloatToE2m1(values[i] / scale)];
      values[i + 1] =
          std::fma(std::fma(-n, scale, values[i]) * inverse, u, NearBoundary(random, scale));
    }
    const Nvfp4GptqOptions options = layer.Options(global_scale);
    ASSERT_EQ(RunGptq(values, options), RunDefinition(values, options)) << round;
  }
}

TEST_P(Nvfp4Gptq, RowsMayBeCutIntoAnyCalls) {
  constexpr size_t kColumns = 160, kRows = kGptqRows + 45;
  const Layer layer(kColumns, 4);
  const std::vector<float> values = DrawGptqValues(kRows * kColumns, 4);
  const Nvfp4GptqOptions options = layer.Options(GlobalScaleOf(values));
  const GptqBytes whole = RunGptq(values, options);
  std::mt19937 random(4);
  GptqBytes pieces;
  for (size_t row = 0; row < kRows;) {
    const size_t end = std::min<size_t>(kRows, row + random() % 40);
    const std::vector<float> part(values.begin() + static_cast<ptrdiff_t>(row * kColumns),
                                  values.begin() + static_cast<ptrdiff_t>(end * kColumns));
    const GptqBytes bytes = RunGptq(part, options);
    pieces.packed.insert(pieces.packed.end(), bytes.packed.begin(), bytes.packed.end());
    pieces.scales.insert(pieces.scales.end(), bytes.scales.begin(), bytes.scales.end());
    row = end;
  }
  EXPECT_EQ(pieces, whole);
}

TEST_P(Nvfp4Gptq, HasALowerObjectiveThanSearchesOfBlocks) {
  constexpr size_t kColumns = 256;
  const Layer layer(kColumns, 5);
  const std::vector<float> matrices = BlocksOfHessian(layer.hessian, kColumns);
  const std::vector<float> values = DrawGptqValues(48 * kColumns, 5, 0.02f);
  const float global_scale = GlobalScaleOf(values);
  const auto objective = [&](const GptqBytes& bytes) {
    return Objective(values, layer.hessian, bytes, global_scale, kColumns);
  };
  const double gptq = objective(RunGptq(values, layer.Options(global_scale)));
  const double local = objective(RunPlain(values, kColumns,
                                          {.global_scale = global_scale,
                                           .search = Nvfp4Search::kLocalHessian,
                                           .local_hessian = matrices}));
  const double mse = objective(
      RunPlain(values, kColumns, {.global_scale = global_scale, .search = Nvfp4Search::kMse}));
  RecordProperty("gptq_over_local_hessian", std::to_string(gptq / local));
  RecordProperty("gptq_over_mse", std::to_string(gptq / mse));
  EXPECT_LT(gptq, 0.7 * local);
  EXPECT_LT(local, mse);
}

// Largest first leaves more to compensate with than smallest first does.
TEST_P(Nvfp4Gptq, TheOrderLowersTheObjective) {
  constexpr size_t kColumns = 256;
  const Layer layer(kColumns, 6);
  std::vector<int32_t> reversed = layer.order;
  std::ranges::reverse(reversed);
  const std::vector<float> reversed_factor = FactorOf(layer.hessian, reversed);
  const std::vector<float> values = DrawGptqValues(48 * kColumns, 6, 0.02f);
  const float global_scale = GlobalScaleOf(values);
  const auto objective = [&](const Nvfp4GptqOptions& options) {
    return Objective(values, layer.hessian, RunGptq(values, options), global_scale, kColumns);
  };
  EXPECT_LT(objective(layer.Options(global_scale)),
            objective({global_scale, reversed, reversed_factor}));
}

// The cost of a code for a block whose columns do not correlate.
float CostWithoutCompensation(std::span<const float> block, std::span<const float> diagonal,
                              int code, float global_scale) {
  const float scale = E4m3ToFloat(static_cast<uint8_t>(code)) * global_scale;
  float cost = 0.0f;
  for (size_t i = 0; i < block.size(); ++i) {
    const float n = kE2m1Values[FloatToE2m1(block[i] / scale)];
    const float error = std::fma(-n, scale, block[i]) * (1.0f / diagonal[i]);
    cost = std::fma(error, error, cost);
  }
  return cost;
}

TEST_P(Nvfp4Gptq, ADiagonalFactorIsAPlainSearch) {
  constexpr size_t kColumns = 96;
  const std::vector<int32_t> order = StorageOrder(kColumns);
  std::vector<float> diagonal(kColumns, 1.0f);
  for (size_t i = kColumns / 2; i < kColumns; ++i) diagonal[i] = 0.5f + static_cast<float>(i % 7);
  const std::vector<float> factor = DiagonalMatrix(diagonal);
  const std::vector<float> values = DrawGptqValues(50 * kColumns, 7);
  const float global_scale = GlobalScaleOf(values);
  const GptqBytes bytes = RunGptq(values, {global_scale, order, factor});
  for (size_t b = 0; b < bytes.scales.size(); ++b) {
    const auto block = std::span(values).subspan(16 * b, 16);
    const auto part = std::span(diagonal).subspan(16 * b % kColumns, 16);
    const float amax = FindAmax(block).value;
    const int rule = FloatToE4m3(reference::Nvfp4Quotient(amax, kE2m1Max, global_scale));
    int best = rule;
    for (int code = std::max(1, rule - 4); code <= std::min(126, rule + 7); ++code) {
      const auto cost = [&](int c) {
        return CostWithoutCompensation(block, part, c, global_scale);
      };
      if (cost(code) < cost(best)) best = code;
    }
    ASSERT_EQ(bytes.scales[b], best) << b;
    const float scale = E4m3ToFloat(bytes.scales[b]) * global_scale;
    for (size_t i = 0; i < 16; ++i) {
      const int nibble = bytes.packed[8 * b + i / 2] >> (i % 2 * 4) & 0xF;
      ASSERT_EQ(nibble, FloatToE2m1(block[i] / scale)) << b << " " << i;
    }
  }
}

TEST_P(Nvfp4Gptq, TheOrderDoesNotShowWithoutCompensation) {
  constexpr size_t kColumns = 80;
  const std::vector<float> factor = DiagonalMatrix(std::vector<float>(kColumns, 1.0f));
  const std::vector<float> values = DrawGptqValues(20 * kColumns, 8);
  const std::vector<int32_t> storage = StorageOrder(kColumns);
  std::vector<int32_t> blocks = storage;
  std::ranges::rotate(blocks, blocks.begin() + 32);
  EXPECT_EQ(RunGptq(values, {0.003f, blocks, factor}), RunGptq(values, {0.003f, storage, factor}));
}

TEST_P(Nvfp4Gptq, OnlyTheUpperTriangleIsRead) {
  constexpr size_t kColumns = 176;
  Layer layer(kColumns, 9);
  const std::vector<float> values = DrawGptqValues(20 * kColumns, 9);
  const GptqBytes bytes = RunGptq(values, layer.Options(0.003f));
  for (size_t i = 0; i < layer.factor.size(); ++i) {
    if (i % kColumns < i / kColumns) layer.factor[i] = kNan;
  }
  EXPECT_EQ(RunGptq(values, layer.Options(0.003f)), bytes);
}

TEST_P(Nvfp4Gptq, ZeroRowsGetTheScaleOfZeros) {
  constexpr size_t kColumns = 64;
  const Layer layer(kColumns, 10);
  std::vector<float> values = DrawGptqValues(5 * kColumns, 10);
  std::fill_n(values.begin() + 2 * kColumns, kColumns, -0.0f);
  const GptqBytes bytes = RunGptq(values, layer.Options(0.003f));
  for (size_t i = 0; i < kColumns; ++i) {
    EXPECT_EQ(bytes.packed[2 * kColumns / 2 + i / 2], 0);
    EXPECT_EQ(bytes.scales[2 * kColumns / 16 + i / 16], 0x38);
  }
}

// The block with it becomes what QuantizeNvfp4 makes of it, and the others stay useful.
TEST_P(Nvfp4Gptq, NanAndInfinityStayInTheirBlock) {
  constexpr size_t kColumns = 96;
  const Layer layer(kColumns, 11);
  const size_t first_block = static_cast<size_t>(layer.order[0]) / 16;
  for (const float value : {kNan, kInfinity, -kInfinity}) {
    std::vector<float> values = DrawGptqValues(3 * kColumns, 11);
    values[kColumns + first_block * 16 + 5] = value;
    const float global_scale = 0.003f;
    const GptqBytes bytes = RunGptq(values, layer.Options(global_scale));
    const GptqBytes plain = RunPlain(values, kColumns, {.global_scale = global_scale});
    for (size_t block = 6; block < 12; ++block) {
      if (block == 6 + first_block) {
        EXPECT_EQ(bytes.scales[block], 0x7E);
        for (size_t i = 0; i < 8; ++i) {
          EXPECT_EQ(bytes.packed[8 * block + i], plain.packed[8 * block + i]);
        }
      } else {
        EXPECT_NEAR(bytes.scales[block], plain.scales[block], 12);
      }
    }
  }
}

TEST_P(Nvfp4Gptq, NoInputGivesANanScale) {
  constexpr size_t kColumns = 144;
  const Layer layer(kColumns, 12);
  for (const NamedValues& input : FormatInputs(24 * kColumns)) {
    for (const float global_scale : {kNvfp4MinGlobalScale, 1e-6f, 1.0f, 3e38f}) {
      const GptqBytes bytes = RunGptq(input.values, layer.Options(global_scale));
      for (const uint8_t scale : bytes.scales) {
        ASSERT_GE(scale, 1) << input.name;
        ASSERT_LE(scale, 126) << input.name;
      }
    }
  }
}

// Values that 448 is not enough for are compensated, too.
TEST_P(Nvfp4Gptq, SaturationIsCompensated) {
  constexpr size_t kColumns = 128;
  const Layer layer(kColumns, 13);
  std::vector<float> values = DrawGptqValues(16 * kColumns, 13);
  const auto first = static_cast<size_t>(layer.order[0]);
  for (size_t i = first; i < values.size(); i += kColumns) values[i] = 7.0f;
  const float global_scale = 6.0f / 2688;
  const auto objective = [&](const GptqBytes& bytes) {
    return Objective(values, layer.hessian, bytes, global_scale, kColumns);
  };
  EXPECT_LT(objective(RunGptq(values, layer.Options(global_scale))),
            0.8 * objective(RunPlain(values, kColumns, {.global_scale = global_scale})));
}

TEST_P(Nvfp4Gptq, PrefersTheRuleAmongEquals) {
  // 6, 3 and 0 times 1.0 are exact at 1.0 and at 2.0, where they are 3, 1.5 and 0; code 0x3F, seven
  // above 1.0, is 1.875.
  std::vector<float> values(16, 0.0f);
  values[0] = 6.0f;
  values[1] = -3.0f;
  const std::vector<int32_t> order = StorageOrder(16);
  const std::vector<float> factor = DiagonalMatrix(std::vector<float>(16, 1.0f));
  EXPECT_EQ(RunGptq(values, {1.0f, order, factor}).scales[0], 0x38);
}

TEST_P(Nvfp4Gptq, GoldenBytesOfNumPy) {
  const GoldenFile golden("numpy_gptq.safetensors");
  ASSERT_FALSE(golden.Cases().empty());
  for (const std::string& name : golden.Cases()) {
    const std::vector<float> values = golden.Floats(name + ".input");
    const std::vector<float> factor = golden.Floats(name + ".factor");
    const std::vector<float> diagonal = golden.Floats(name + ".diagonal");
    const std::vector<float> positions = golden.Floats(name + ".order");
    const std::vector<int32_t> order(positions.begin(), positions.end());
    EXPECT_EQ(Nvfp4GptqOrder(std::vector<double>(diagonal.begin(), diagonal.end())), order);
    const GptqBytes bytes =
        RunGptq(values, {golden.Floats(name + ".scale_2").at(0), order, factor});
    EXPECT_EQ(bytes.scales, golden.Bytes(name + ".scale")) << name;
    EXPECT_EQ(bytes.packed, golden.Bytes(name + ".packed")) << name;
  }
}

// With the same H, order, damping and block scales, its codes are the same (it does not
// search scales); a negative value that rounds to 0 is 0 there, and code 8 here.
TEST_P(Nvfp4Gptq, GoldenCodesOfLlmCompressor) {
  const GoldenFile cases("numpy_gptq.safetensors"), golden("llmcompressor_gptq.safetensors");
  ASSERT_EQ(golden.Cases(), cases.Cases());
  for (const std::string& name : golden.Cases()) {
    const std::vector<float> values = cases.Floats(name + ".input");
    const std::vector<float> factor = cases.Floats(name + ".factor");
    const std::vector<float> positions = cases.Floats(name + ".order");
    const std::vector<int32_t> order(positions.begin(), positions.end());
    GptqBytes bytes = RunGptq(values, {cases.Floats(name + ".scale_2").at(0), order, factor});
    for (uint8_t& pair : bytes.packed) {
      if ((pair & 0x0F) == 0x08) pair &= 0xF0;
      if ((pair & 0xF0) == 0x80) pair &= 0x0F;
    }
    EXPECT_EQ(bytes.packed, golden.Bytes(name + ".packed")) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Nvfp4Gptq, ::testing::ValuesIn(SimdTargets()),
                         [](const auto& info) { return SimdTargetName(info.param); });

TEST(Nvfp4GptqOrder, LargestBlocksFirstAndLargestColumnsFirst) {
  std::vector<double> diagonal(64, 1.0);
  diagonal[16 + 3] = 5.0;  // block 1: 19
  diagonal[16 + 9] = 5.0;  // ... 24 in all, with column 19 before 25
  diagonal[48] = 0.5;      // block 3: 15.5
  const std::vector<int32_t> order = Nvfp4GptqOrder(diagonal);
  const std::vector<int32_t> block_1 = {19, 25, 16, 17, 18, 20, 21, 22,
                                        23, 24, 26, 27, 28, 29, 30, 31};
  EXPECT_TRUE(std::equal(block_1.begin(), block_1.end(), order.begin()));
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(order[16 + i], i);  // block 0 ties with block 2
    EXPECT_EQ(order[32 + i], 32 + i);
  }
  EXPECT_EQ(order[48], 49);
  EXPECT_EQ(order[63], 48);
  EXPECT_TRUE(Nvfp4GptqOrder({}).empty());
}

}  // namespace
}  // namespace vernier::quantizers

// The search for block scales under local Hessians: what it chooses, on every instruction set.
#include "quantizers/nvfp4_local_hessian.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "quantizers/amax.h"
#include "quantizers/nvfp4.h"
#include "quantizers/nvfp4_reference.h"
#include "quantizers/nvfp4_search.h"
#include "quantizers/simd_targets.h"
#include "tests/quantizers/golden_file.h"

namespace vernier::quantizers {
namespace {

using reference::Nvfp4Block;

constexpr size_t kMatrixElements = 256;  // of a matrix

struct Encoded {
  std::vector<uint8_t> packed;
  std::vector<uint8_t> scales;
  bool operator==(const Encoded&) const = default;
};

Encoded Quantise(const std::vector<float>& values, int64_t columns, const Nvfp4Options& options) {
  Encoded bytes{std::vector<uint8_t>(values.size() / 2), std::vector<uint8_t>(values.size() / 16)};
  QuantizeNvfp4(values, columns, options, bytes.packed, bytes.scales);
  return bytes;
}

std::vector<float> DrawNormal(std::mt19937& random, size_t count) {
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// The mean of x x^T over `samples` inputs in which neighbours correlate, deviations[i] * x_i.
std::vector<float> SecondMoments(std::mt19937& random, int samples,
                                 const std::vector<float>& deviations) {
  std::vector<float> matrix(kMatrixElements);
  for (int sample = 0; sample < samples; ++sample) {
    std::vector<float> x = DrawNormal(random, 16);
    for (size_t i = 15; i > 0; --i) x[i] += 0.8f * x[i - 1];
    for (size_t i = 0; i < 16; ++i) x[i] *= deviations[i];
    for (size_t i = 0; i < kMatrixElements; ++i) {
      matrix[i] += x[i / 16] * x[i % 16] / static_cast<float>(samples);
    }
  }
  return matrix;
}

std::vector<float> EvenDeviations() { return std::vector<float>(16, 1.0f); }

std::vector<float> DeviationsBut(size_t column, float deviation) {
  std::vector<float> deviations = EvenDeviations();
  deviations[column] = deviation;
  return deviations;
}

struct MatrixKind {
  std::string name;
  std::function<std::vector<float>(std::mt19937&)> draw;
};

std::vector<MatrixKind> MatrixKinds() {
  const auto moments = [](int samples, std::vector<float> deviations) {
    return [=](std::mt19937& random) { return SecondMoments(random, samples, deviations); };
  };
  return {{"correlated", moments(200, EvenDeviations())},
          {"outlier", moments(200, DeviationsBut(3, 100.0f))},
          {"faint", moments(200, DeviationsBut(3, 1e-3f))},
          {"dead", moments(200, DeviationsBut(7, 0.0f))},
          {"rank5", moments(5, EvenDeviations())},
          {"rank1", moments(1, EvenDeviations())},
          {"large", moments(50, std::vector<float>(16, 0x1p40f))},
          {"small", moments(50, std::vector<float>(16, 0x1p-58f))},
          {"zero", [](std::mt19937&) { return std::vector<float>(kMatrixElements); }}};
}

// A row of matrices, of one kind.
std::vector<float> DrawRowOfMatrices(std::mt19937& random, const MatrixKind& kind, size_t blocks) {
  std::vector<float> matrices;
  for (size_t block = 0; block < blocks; ++block) {
    const std::vector<float> matrix = kind.draw(random);
    matrices.insert(matrices.end(), matrix.begin(), matrix.end());
  }
  return matrices;
}

uint8_t RuleCode(const Nvfp4Block& block, float global_scale) {
  float amax = 0.0f;
  for (const float value : block) amax = std::max(amax, std::fabs(value));
  return FloatToE4m3(reference::Nvfp4Quotient(amax, kE2m1Max, global_scale));
}

// The errors of all codes by the definition; an infinity for 0.
std::array<float, 127> ErrorsOfCodes(const Nvfp4Block& block, std::span<const float> matrix,
                                     float global_scale) {
  std::array<float, 127> errors;
  errors[0] = std::numeric_limits<float>::infinity();
  for (size_t code = 1; code < errors.size(); ++code) {
    errors[code] =
        reference::Nvfp4LocalHessianError(block, matrix, static_cast<uint8_t>(code), global_scale);
  }
  return errors;
}

// Of all codes up to `last`, as the definition says.
uint8_t BestCode(const std::array<float, 127>& errors, uint8_t rule, int last) {
  const auto end = errors.begin() + std::min(last, kMaxScaleCode) + 1;
  const float least = *std::min_element(errors.begin(), end);
  if (errors[rule] == least) return rule;
  return static_cast<uint8_t>(std::find(errors.begin(), end, least) - errors.begin());
}

std::vector<float> Identities(size_t blocks) {
  std::vector<float> matrices(blocks * kMatrixElements);
  for (size_t i = 0; i < blocks * 16; ++i) matrices[i * 16 + i % 16] = 1.0f;
  return matrices;
}

class Nvfp4LocalHessian : public ::testing::TestWithParam<int64_t> {
 protected:
  static constexpr size_t kBlocks = 19;  // of a row: no whole number of groups
  static constexpr int64_t kColumns = 16 * kBlocks;

  Nvfp4Options Options(const std::vector<float>& values, std::span<const float> matrices) {
    return {.global_scale = Nvfp4GlobalScale(FindAmax(values).value, Nvfp4Search::kLocalHessian),
            .search = Nvfp4Search::kLocalHessian,
            .local_hessian = matrices};
  }

  // Calls `check(block, matrix, scale)` for every block.
  template <typename Check>
  void ForEachBlock(const std::vector<float>& values, const Nvfp4Options& options, Check check) {
    const Encoded bytes = Quantise(values, kColumns, options);
    for (size_t i = 0; i < bytes.scales.size(); ++i) {
      Nvfp4Block block;
      std::copy_n(values.begin() + static_cast<ptrdiff_t>(16 * i), 16, block.begin());
      check(block, options.local_hessian.subspan(i % kBlocks * kMatrixElements, kMatrixElements),
            bytes.scales[i]);
    }
  }

  ForcedSimdTarget forced_{GetParam()};
};

TEST_P(Nvfp4LocalHessian, NoCodeOfTheWindowIsBetter) {
  std::mt19937 random(1);
  const std::vector<float> identity = Identities(1);
  for (const MatrixKind& kind : MatrixKinds()) {
    const std::vector<float> matrices = DrawRowOfMatrices(random, kind, kBlocks);
    const std::vector<float> values = DrawNormal(random, 24 * kColumns);
    const Nvfp4Options options = Options(values, matrices);
    const auto check = [&](const Nvfp4Block& block, std::span<const float> matrix, uint8_t scale) {
      const auto errors =
          ErrorsOfCodes(block, kind.name == "zero" ? identity : matrix, options.global_scale);
      const uint8_t rule = RuleCode(block, options.global_scale);
      ASSERT_EQ(scale, BestCode(errors, rule, rule + kCodesAboveRule)) << kind.name;
    };
    ForEachBlock(values, options, check);
  }
}

// So that the test above tries both ends of the search.
TEST_P(Nvfp4LocalHessian, CodesAtBothEndsWin) {
  std::mt19937 random(2);
  const std::vector<MatrixKind> kinds = MatrixKinds();
  std::vector<float> matrices = DrawRowOfMatrices(random, kinds[0], kBlocks);
  // What the largest value of a block is multiplied by hardly ever comes.
  for (size_t block = 0; block < kBlocks; block += 2) {
    const std::vector<float> faint = SecondMoments(random, 200, DeviationsBut(3, 1e-3f));
    std::ranges::copy(faint, matrices.begin() + static_cast<ptrdiff_t>(block * kMatrixElements));
  }
  std::vector<float> values = DrawNormal(random, 48 * kColumns);
  for (size_t i = 3; i < values.size(); i += 32) values[i] = 50.0f;
  int highest = 0;
  int lowest = 0;
  const Nvfp4Options options = Options(values, matrices);
  ForEachBlock(values, options,
               [&](const Nvfp4Block& block, std::span<const float>, uint8_t scale) {
                 const int above = scale - RuleCode(block, options.global_scale);
                 highest = std::max(highest, above);
                 lowest = std::min(lowest, above);
               });
  EXPECT_EQ(highest, kCodesAboveRule);
  EXPECT_LT(lowest, -20);
}

// What it costs that the search looks no further up.
TEST_P(Nvfp4LocalHessian, HigherCodesWouldGainLittle) {
  std::mt19937 random(3);
  const std::vector<float> matrices = DrawRowOfMatrices(random, MatrixKinds()[0], kBlocks);
  const std::vector<float> values = DrawNormal(random, 64 * kColumns);
  const Nvfp4Options options = Options(values, matrices);
  double chosen = 0;
  double least = 0;
  const auto add = [&](const Nvfp4Block& block, std::span<const float> matrix, uint8_t scale) {
    const auto errors = ErrorsOfCodes(block, matrix, options.global_scale);
    chosen += errors[scale];
    least += *std::ranges::min_element(errors);
  };
  ForEachBlock(values, options, add);
  EXPECT_LT(chosen, 1.01 * least);
}

TEST_P(Nvfp4LocalHessian, IdentitiesGiveWhatMseGives) {
  std::mt19937 random(4);
  const std::vector<float> values = DrawNormal(random, 40 * kColumns);
  const std::vector<float> identities = Identities(kBlocks);
  Nvfp4Options options = Options(values, identities);
  const Encoded bytes = Quantise(values, kColumns, options);
  Nvfp4Options mse = options;
  mse.search = Nvfp4Search::kMse;
  EXPECT_EQ(bytes, Quantise(values, kColumns, mse));

  options.local_hessian = {};
  EXPECT_EQ(bytes, Quantise(values, kColumns, options));
  const std::vector<float> zeros(kBlocks * kMatrixElements);
  options.local_hessian = zeros;
  EXPECT_EQ(bytes, Quantise(values, kColumns, options));
}

TEST_P(Nvfp4LocalHessian, OnlyTheUpperTriangleIsRead) {
  std::mt19937 random(5);
  std::vector<float> matrices = DrawRowOfMatrices(random, MatrixKinds()[0], kBlocks);
  const std::vector<float> values = DrawNormal(random, 8 * kColumns);
  const Encoded bytes = Quantise(values, kColumns, Options(values, matrices));
  for (size_t i = 0; i < matrices.size(); ++i) {
    if (i % 16 < i / 16 % 16) matrices[i] = std::numeric_limits<float>::quiet_NaN();
  }
  EXPECT_EQ(bytes, Quantise(values, kColumns, Options(values, matrices)));
}

TEST_P(Nvfp4LocalHessian, ZerosAndWhatNoScaleHoldsKeepTheRule) {
  std::mt19937 random(6);
  const std::vector<float> matrices = DrawRowOfMatrices(random, MatrixKinds()[0], kBlocks);
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float value :
       {0.0f, 2688.0f, -1e30f, infinity, -infinity, std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values(2 * kColumns, value == 0.0f ? 0.0f : 1.0f);
    for (size_t i = 5; i < values.size(); i += 16) values[i] = value;
    const Encoded bytes = Quantise(
        values, kColumns, {.search = Nvfp4Search::kLocalHessian, .local_hessian = matrices});
    EXPECT_EQ(bytes, Quantise(values, kColumns, {})) << value;
  }
}

TEST_P(Nvfp4LocalHessian, PrefersTheRuleAmongEquals) {
  // 6, 3 and 0 times 1.0 are exact at 1.0 and at 2.0, where they are 3, 1.5 and 0.
  std::vector<float> values(16, 0.0f);
  values[0] = 6.0f;
  values[1] = -3.0f;
  EXPECT_EQ(Quantise(values, 16, {.search = Nvfp4Search::kLocalHessian}).scales[0], 0x38);
}

TEST_P(Nvfp4LocalHessian, GoldenBytesOfNumPy) {
  const GoldenFile golden("numpy_local_hessian.safetensors");
  for (const std::string& name : golden.Cases()) {
    const std::vector<float> values = golden.Floats(name + ".input");
    const std::vector<float> matrices = golden.Floats(name + ".hessian");
    const float global_scale = golden.Floats(name + ".scale_2").at(0);
    const Encoded bytes = Quantise(values, golden.Columns(name + ".input"),
                                   {.global_scale = global_scale,
                                    .search = Nvfp4Search::kLocalHessian,
                                    .local_hessian = matrices});
    EXPECT_EQ(bytes.scales, golden.Bytes(name + ".scale")) << name;
    EXPECT_EQ(bytes.packed, golden.Bytes(name + ".packed")) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Nvfp4LocalHessian, ::testing::ValuesIn(SimdTargets()),
                         [](const auto& info) { return SimdTargetName(info.param); });

// The error is that of the bytes: e^T H e of what they are dequantised to.
TEST(Nvfp4LocalHessianError, IsTheQuadraticFormOfTheDequantisedError) {
  std::mt19937 random(7);
  const std::vector<float> matrix = SecondMoments(random, 200, DeviationsBut(2, 5.0f));
  const float global_scale = 0.0123f;
  for (int round = 0; round < 200; ++round) {
    const std::vector<float> values = DrawNormal(random, 16);
    const Encoded bytes = Quantise(values, 16,
                                   {.global_scale = global_scale,
                                    .search = Nvfp4Search::kLocalHessian,
                                    .local_hessian = matrix});
    std::vector<float> restored(16);
    DequantizeNvfp4(bytes.packed, bytes.scales, 16, global_scale, std::span<float>(restored));
    double expected = 0;
    for (size_t i = 0; i < kMatrixElements; ++i) {
      const auto e = [&](size_t j) { return (double{values[j]} - restored[j]) / global_scale; };
      expected += e(i / 16) * matrix[i] * e(i % 16);
    }
    Nvfp4Block block;
    std::ranges::copy(values, block.begin());
    const float error =
        reference::Nvfp4LocalHessianError(block, matrix, bytes.scales[0], global_scale);
    EXPECT_NEAR(error, expected, 1e-4 * expected);
  }
}

}  // namespace
}  // namespace vernier::quantizers

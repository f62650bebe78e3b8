// Activations quantised in ATen operators against the scalar definitions, bit for bit.
#include "calib/round_trip.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "quantizers/float_formats.h"
#include "quantizers/fp8.h"
#include "quantizers/nvfp4.h"
#include "quantizers/nvfp4_activations_reference.h"

namespace vernier::calib {
namespace {

namespace reference = quantizers::reference;

constexpr size_t kBlock = 16;

class RoundTripTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "cuda" && !at::hasCUDA()) GTEST_SKIP() << "no CUDA device here";
  }

  at::Tensor OnDevice(const std::vector<float>& values, int64_t columns) const {
    return at::tensor(values).view({-1, columns}).to(at::Device(GetParam()));
  }

  static void ExpectSameBits(const at::Tensor& ours, const std::vector<float>& expected) {
    const at::Tensor host = ours.cpu().contiguous().view({-1});
    ASSERT_EQ(host.numel(), static_cast<int64_t>(expected.size()));
    const at::Tensor theirs = at::tensor(expected);
    const at::Tensor differ = host.view(at::kInt).ne(theirs.view(at::kInt)).nonzero();
    if (differ.numel() == 0) return;
    const int64_t at = differ[0][0].item<int64_t>();
    ADD_FAILURE() << differ.size(0) << " values differ, the first at " << at << ": "
                  << host[at].item<float>() << " for " << theirs[at].item<float>();
  }
};

// Blocks whose amax, and values whose quotients, meet every rule: zeros of both signs, ties of both
// grids, saturation, scales that underflow, and F32's own denormals.
std::vector<float> HardBlocks(float global_scale) {
  std::vector<float> values;
  const auto add_block = [&](auto value_at) {
    for (size_t i = 0; i < kBlock; ++i) values.push_back(value_at(i));
  };
  add_block([](size_t) { return 0.0f; });
  add_block([](size_t i) { return i % 2 == 0 ? -0.0f : 0.0f; });
  add_block([](size_t) { return std::numeric_limits<float>::denorm_min(); });
  add_block([](size_t i) { return i == 3 ? -3e38f : 1.0f; });
  // Every rounding boundary of E2M1, exactly, under each of some block scales.
  for (const float scale : {0x1p-9f, 0x1p-6f, 0.4375f, 1.0f, 1.125f, 448.0f}) {
    const float ties[] = {6.0f,  0.25f,  0.75f,  1.25f,  1.75f,  2.5f,  3.5f,  5.0f,
                          -6.0f, -0.25f, -0.75f, -1.25f, -1.75f, -2.5f, -3.5f, -5.0f};
    add_block([&](size_t i) { return ties[i] * (scale * global_scale); });
  }
  // Every boundary of E4M3 and its neighbours as the block's quotient; below 2^-10 it underflows.
  for (int code = 0; code < 0x7E; ++code) {
    const float middle = 0.5f * (quantizers::E4m3ToFloat(static_cast<uint8_t>(code)) +
                                 quantizers::E4m3ToFloat(static_cast<uint8_t>(code + 1)));
    for (const float quotient :
         {std::nextafter(middle, 0.0f), middle, std::nextafter(middle, 1000.0f)}) {
      const float amax = quotient * (6.0f * global_scale);
      add_block([&](size_t i) { return (i % 2 == 0 ? amax : -amax) * (1.0f - 0.06f * i); });
    }
  }
  // Beyond the largest scale.
  add_block([&](size_t i) { return (i % 2 == 0 ? 1.0f : -1.0f) * 3000.0f * i * global_scale; });
  return values;
}

std::vector<float> RandomBlocks(size_t blocks) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> exponent(-30, 12);
  std::vector<float> values;
  for (size_t block = 0; block < blocks; ++block) {
    const int size = exponent(random);
    for (size_t i = 0; i < kBlock; ++i) values.push_back(std::ldexp(normal(random), size));
  }
  return values;
}

TEST_P(RoundTripTest, Nvfp4IsItsDefinition) {
  for (const float global_scale : {1.0f, 0x1p-7f, 0.0037f, 3.7e-5f, 1e-30f}) {
    std::vector<float> values = HardBlocks(global_scale);
    const std::vector<float> random = RandomBlocks(5000);
    values.insert(values.end(), random.begin(), random.end());
    std::vector<float> expected(values.size());
    reference::RoundTripNvfp4Activations(values, global_scale, expected);
    ExpectSameBits(RoundTripNvfp4(OnDevice(values, kBlock), global_scale), expected);
  }
}

TEST_P(RoundTripTest, Nvfp4OfBf16IsTheDefinitionRounded) {
  const at::Tensor x = OnDevice(RandomBlocks(512), 64).to(at::kBFloat16);
  const at::Tensor wide = x.to(at::kFloat).cpu().contiguous();
  const std::span<const float> values(wide.data_ptr<float>(), static_cast<size_t>(wide.numel()));
  std::vector<float> expected(values.size());
  reference::RoundTripNvfp4Activations(values, 0.0123f, expected);
  const at::Tensor ours = RoundTripNvfp4(x, 0.0123f);
  EXPECT_EQ(ours.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(ours.cpu(), at::tensor(expected).to(at::kBFloat16).view(x.sizes())));
}

TEST_P(RoundTripTest, Fp8IsItsDefinition) {
  std::vector<float> values = RandomBlocks(800);
  for (const float edge : {0.0f, -0.0f, 448.0f, 464.0f, 500.0f, -3e38f, 0x1p-10f, 0x1.8p-9f}) {
    values.insert(values.end(), kBlock, edge);
  }
  for (const float scale : {1.0f, 0.013f}) {
    std::vector<uint8_t> codes(values.size());
    quantizers::QuantizeFp8(values, scale, codes);
    std::vector<float> expected;
    for (const uint8_t code : codes) expected.push_back(quantizers::E4m3ToFloat(code) * scale);
    ExpectSameBits(RoundTripFp8(OnDevice(values, kBlock), scale), expected);
  }
}

TEST_P(RoundTripTest, Fp8GroupsAreTheirDefinitionWithAPartialLastGroup) {
  constexpr int64_t kColumns = 80, kGroup = 32;
  std::vector<float> values = RandomBlocks(200 * kColumns / kBlock);
  std::fill_n(values.begin(), kColumns, 0.0f);
  for (int i = 0; i < 8; ++i) values[static_cast<size_t>(kColumns + 32 * i)] = 448.0f * (1 << i);
  const size_t blocks = values.size() / kColumns * 3;
  for (const bool power_of_two : {false, true}) {
    std::vector<uint8_t> codes(values.size());
    std::vector<float> scales(blocks), expected(values.size());
    quantizers::QuantizeFp8Blocks(
        values, kColumns, /*block_rows=*/1, kGroup,
        power_of_two ? quantizers::Fp8ScaleKind::kE8m0 : quantizers::Fp8ScaleKind::kF32, codes,
        scales);
    quantizers::DequantizeFp8Rows(codes, kColumns, kGroup, scales, std::span<float>(expected));
    ExpectSameBits(RoundTripFp8Groups(OnDevice(values, kColumns), kGroup, power_of_two), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, RoundTripTest, ::testing::Values("cpu", "cuda"),
                         [](const auto& info) { return info.param; });

// Where no scale underflows, an activation is quantised as a weight is.
TEST(Nvfp4ActivationsTest, AreWeightsButForScalesThatUnderflow) {
  const float global_scale = 0.0037f;
  for (const std::vector<float>& values : {HardBlocks(global_scale), RandomBlocks(3000)}) {
    std::vector<uint8_t> packed(values.size() / 2), scales(values.size() / kBlock);
    std::vector<float> weights(values.size()), activations(values.size());
    quantizers::QuantizeNvfp4(values, kBlock, {.global_scale = global_scale}, packed, scales);
    quantizers::DequantizeNvfp4(packed, scales, kBlock, global_scale, std::span<float>(weights));
    reference::RoundTripNvfp4Activations(values, global_scale, activations);
    size_t underflows = 0;
    for (size_t block = 0; block < scales.size(); ++block) {
      const auto begin = values.begin() + static_cast<ptrdiff_t>(block * kBlock);
      const std::vector<float> own(begin, begin + kBlock);
      const bool underflow = reference::Nvfp4ActivationScale(own, global_scale) == 0.0f;
      underflows += underflow;
      for (size_t i = block * kBlock; i < (block + 1) * kBlock; ++i) {
        EXPECT_EQ(activations[i], underflow ? 0.0f : weights[i]) << "value " << i;
      }
    }
    EXPECT_GT(underflows, 0u);
    EXPECT_LT(underflows, scales.size() / 2);
  }
}

}  // namespace
}  // namespace vernier::calib

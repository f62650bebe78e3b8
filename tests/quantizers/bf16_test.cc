#include "quantizers/bf16.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <vector>

#include "quantizers/float_formats.h"
#include "tests/quantizers/format_inputs.h"

namespace vernier::quantizers {
namespace {

std::vector<uint16_t> AllCodes() {
  std::vector<uint16_t> codes(0x10000);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint16_t>(i);
  return codes;
}

TEST(Bf16Spans, EveryCodeWidensAsDefined) {
  const auto codes = AllCodes();
  std::vector<float> bf16;
  std::vector<float> f16;
  for (const uint16_t code : codes) {
    bf16.push_back(Bf16ToFloat(code));
    f16.push_back(F16ToFloat(code));
  }
  OnEveryTarget([&] {
    std::vector<float> values(codes.size());
    Bf16ToFloat(codes, values);
    EXPECT_EQ(Bits(values), Bits(bf16));
    F16ToFloat(codes, values);
    EXPECT_EQ(Bits(values), Bits(f16));
  });
}

TEST(Bf16Spans, NarrowingRoundsAsDefined) {
  std::vector<float> values;
  for (const uint16_t upper : AllCodes()) {  // every code, its ties and their neighbours
    for (const uint32_t lower : {0x0000u, 0x0001u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      values.push_back(std::bit_cast<float>(uint32_t{upper} << 16 | lower));
    }
  }
  const auto expected = ToBf16(values);
  OnEveryTarget([&] {
    std::vector<uint16_t> bf16(values.size());
    FloatToBf16(values, bf16);
    EXPECT_EQ(bf16, expected);
  });
}

TEST(Bf16Spans, EveryLengthIsConverted) {
  OnEveryTarget([] {
    for (size_t count = 0; count < 40; ++count) {
      const std::vector<float> values(count, 1.5f);
      std::vector<uint16_t> bf16(count);
      std::vector<float> restored(count);
      FloatToBf16(values, bf16);
      EXPECT_EQ(bf16, std::vector<uint16_t>(count, 0x3FC0));
      Bf16ToFloat(bf16, restored);
      EXPECT_EQ(restored, values);
      F16ToFloat(std::vector<uint16_t>(count, 0x3E00), restored);
      EXPECT_EQ(restored, values);
    }
  });
}

}  // namespace
}  // namespace vernier::quantizers

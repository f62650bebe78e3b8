#include "base/text.h"

#include <gtest/gtest.h>

namespace vernier {
namespace {

TEST(TextTest, HumanSizesCountsAndDurations) {
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1536), "1.50 KiB");
  EXPECT_EQ(HumanBytes(uint64_t{927} << 30), "927.00 GiB");
  EXPECT_EQ(HumanCount(0), "0");
  EXPECT_EQ(HumanCount(999), "999");
  EXPECT_EQ(HumanCount(1598800000000), "1,598,800,000,000");
  EXPECT_EQ(HumanDuration(4.24), "4.2s");
  EXPECT_EQ(HumanDuration(187), "3m07s");
  EXPECT_EQ(HumanDuration(3720), "1h02m");
}

TEST(TextTest, ByteSizes) {
  EXPECT_EQ(ParseByteSize("1048576"), 1048576u);
  EXPECT_EQ(ParseByteSize("8GiB"), uint64_t{8} << 30);
  EXPECT_EQ(ParseByteSize("1.5 MiB"), 1572864u);
  EXPECT_EQ(ParseByteSize("80GB"), 80'000'000'000u);
  for (const char* bad : {"", "GiB", "-1GiB", "8GiBs", "8 gigs", "nan", "1e300GiB"}) {
    EXPECT_FALSE(ParseByteSize(bad).has_value()) << bad;
  }
}

TEST(TextTest, Globs) {
  EXPECT_TRUE(GlobMatch("layers.*.attn.wq_?", "layers.12.attn.wq_a"));
  EXPECT_TRUE(GlobMatch("*", ""));
  EXPECT_TRUE(GlobMatch("*experts*w1", "layers.0.ffn.experts.3.w1"));
  EXPECT_FALSE(GlobMatch("layers.1*", "layers.2.attn"));
  EXPECT_FALSE(GlobMatch("layers.1", "layers.10"));
  EXPECT_FALSE(GlobMatch("", "x"));
}

TEST(TextTest, NearestNameFindsMisspellingsOnly) {
  const std::vector<std::string> fields = {"samples", "sequence_length", "seed"};
  EXPECT_EQ(NearestName("sample", fields), "samples");
  EXPECT_EQ(NearestName("sequence_lenght", fields), "sequence_length");
  EXPECT_FALSE(NearestName("temperature", fields).has_value());
}

TEST(TextTest, HexDigits) {
  const std::vector<uint8_t> bytes = {0x00, 0x7f, 0xff};
  EXPECT_EQ(HexDigits(bytes), "007fff");
}

}  // namespace
}  // namespace vernier

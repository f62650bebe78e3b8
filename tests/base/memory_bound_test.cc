#include "base/memory_bound.h"

#include <gtest/gtest.h>

namespace vernier {
namespace {

TEST(MemoryBoundTest, IsASizeOrAShareOfWhatIsFree) {
  constexpr uint64_t kFree = 1000;
  constexpr int kUsual = 80;
  EXPECT_EQ(MemoryBound().Of(kFree, kUsual), 800u);
  EXPECT_EQ(MemoryBound(7).Of(kFree, kUsual), 7u);
  EXPECT_EQ(MemoryBound::Share(70).Of(kFree, kUsual), 700u);
  EXPECT_EQ(MemoryBound::Share(100).Of(uint64_t{1} << 40, kUsual), uint64_t{1} << 40);
}

TEST(MemoryBoundTest, IsReadAsItIsWritten) {
  EXPECT_EQ(ParseMemoryBound("70%"), MemoryBound::Share(70));
  EXPECT_EQ(ParseMemoryBound("8GiB"), MemoryBound(uint64_t{8} << 30));
  EXPECT_EQ(ParseMemoryBound("0"), MemoryBound());
  for (const MemoryBound bound : {MemoryBound(), MemoryBound(12), MemoryBound::Share(5)}) {
    EXPECT_EQ(ParseMemoryBound(bound.Text()), bound) << bound.Text();
  }
}

TEST(MemoryBoundTest, NothingElseIsOne) {
  for (const char* text : {"", "%", "0%", "101%", "-5%", "7.5%", "70 %", "70%%", "x%", "many"}) {
    EXPECT_EQ(ParseMemoryBound(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace vernier

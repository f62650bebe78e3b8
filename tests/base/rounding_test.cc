#include "base/rounding.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace vernier {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr uint64_t kMostUnsigned = std::numeric_limits<uint64_t>::max();

TEST(CeilDivide, IsTheLeastNumberOfStepsThatCovers) {
  for (int64_t value = 0; value < 70; ++value) {
    for (int64_t divisor = 1; divisor < 40; ++divisor) {
      const int64_t steps = CeilDivide(value, divisor);
      EXPECT_GE(steps * divisor, value) << value << " / " << divisor;
      EXPECT_LT((steps - 1) * divisor, value) << value << " / " << divisor;
    }
  }
}

// A constant expression cannot overflow: the compiler refuses it.
TEST(CeilDivide, HoldsAtTheEndsOfItsType) {
  static_assert(CeilDivide(kMost, 1) == kMost);
  static_assert(CeilDivide(kMost, kMost) == 1);
  static_assert(CeilDivide(kMost - 1, kMost) == 1);
  static_assert(CeilDivide(kMost, 2) == kMost / 2 + 1);
  static_assert(CeilDivide(int64_t{1}, kMost) == 1);
  static_assert(CeilDivide(int64_t{0}, kMost) == 0);
  static_assert(CeilDivide(kMostUnsigned, 2) == uint64_t{1} << 63);
  static_assert(CeilDivide(kMostUnsigned, kMostUnsigned) == 1);
}

TEST(RoundUp, IsTheLeastMultipleThatCovers) {
  static_assert(RoundUp(int64_t{0}, 128) == 0);
  static_assert(RoundUp(int64_t{1}, 128) == 128);
  static_assert(RoundUp(int64_t{128}, 128) == 128);
  static_assert(RoundUp(int64_t{129}, 128) == 256);
  static_assert(RoundUp(kMost, kMost) == kMost);
  static_assert(RoundUp(kMostUnsigned - 14, 8) == kMostUnsigned - 7);
}

}  // namespace
}  // namespace vernier

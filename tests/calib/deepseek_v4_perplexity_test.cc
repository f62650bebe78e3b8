// What BF16 costs the example model, on a few windows.
#include <gtest/gtest.h>

#include "tests/calib/deepseek_v4_support.h"

namespace vernier::calib {
namespace {

TEST(DeepseekV4Perplexity, Bf16IsCloseToFloat32) {
  constexpr int64_t kSomeWindows = 8;
  const double f32 = MiniModelPerplexity(at::kFloat, kSomeWindows);
  EXPECT_NEAR(MiniModelPerplexity(at::kBFloat16, kSomeWindows), f32, 0.005 * f32);
}

}  // namespace
}  // namespace vernier::calib

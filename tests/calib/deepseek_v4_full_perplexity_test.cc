// BF16 perplexity of the example model against the reference's, on all windows of eval.json.
#include <gtest/gtest.h>

#include <cstdio>

#include "base/json.h"
#include "tests/calib/deepseek_v4_support.h"

namespace vernier::calib {
namespace {

TEST(DeepseekV4FullPerplexity, Bf16IsThatOfTheReference) {
  constexpr int64_t kAllWindows = 400;
  const Json eval = ReadJsonFile(kMiniReference / "eval.json");
  const double expected = eval.at("ppl_bf16").get<double>();
  const double actual = MiniModelPerplexity(at::kBFloat16, kAllWindows);
  std::printf("BF16 perplexity %.4f, reference %.4f\n", actual, expected);
  EXPECT_NEAR(actual, expected, 0.005 * expected);
}

}  // namespace
}  // namespace vernier::calib

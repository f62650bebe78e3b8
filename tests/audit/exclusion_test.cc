#include "audit/exclusion.h"

#include <gtest/gtest.h>

namespace vernier::audit {
namespace {

struct MatchCase {
  std::string pattern;
  std::string module;
  bool vllm;
  bool sglang;
  bool tensorrt_llm;
};

class ExclusionTest : public ::testing::TestWithParam<MatchCase> {};

TEST_P(ExclusionTest, EnginesDecideAsDocumented) {
  const MatchCase& match = GetParam();
  const std::vector<std::string> patterns = {match.pattern};
  EXPECT_EQ(ExcludedByVllm(patterns, match.module), match.vllm);
  EXPECT_EQ(ExcludedBySglang(patterns, match.module), match.sglang);
  EXPECT_EQ(ExcludedByTensorRtLlm(patterns, match.module), match.tensorrt_llm);
}

INSTANTIATE_TEST_SUITE_P(
    Patterns, ExclusionTest,
    ::testing::Values(
        // A star without a dot also catches layers 10 to 19.
        MatchCase{"model.layers.1*", "model.layers.10.mlp", true, true, true},
        MatchCase{"model.layers.1.*", "model.layers.10.mlp", false, false, false},
        MatchCase{"model.layers.1.*", "model.layers.1.mlp", true, true, true},
        // vLLM looks for substrings, SGLang for whole parts.
        MatchCase{"model.layers.0.mlp.gate", "model.layers.0.mlp.gate_up_proj", true, false, false},
        MatchCase{"gate", "layers.0.ffn.gate", true, true, false},
        MatchCase{"gate", "layers.0.ffn.gate_up_proj", true, false, false},
        MatchCase{"head", "lm_head", true, false, false},
        MatchCase{"head", "head", true, true, true},
        MatchCase{"*.attn.*", "layers.3.attn.wq_a", true, true, true},
        MatchCase{"*.attn.*", "layers.3.ffn.experts", false, false, false},
        MatchCase{"mtp.*", "mtp.0.e_proj", true, true, true}));

TEST(EnginesExcluding, NamesThem) {
  const std::vector<std::string> patterns = {"gate"};
  EXPECT_EQ(EnginesExcluding(patterns, "layers.0.ffn.gate"),
            (std::vector<std::string>{"vLLM", "SGLang"}));
  EXPECT_TRUE(EnginesExcluding({}, "layers.0.ffn.gate").empty());
}

}  // namespace
}  // namespace vernier::audit

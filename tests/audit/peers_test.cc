// What the audit finds in whole checkpoints that other toolkits wrote: exactly what is wrong with
// them, checked by hand (tests/data/peers/README.md), and nothing where nothing is.
#include <filesystem>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/audit/audit_test_base.h"

namespace vernier::audit {
namespace {

using RuleAndSeverity = std::pair<std::string, Severity>;
using Verdict = std::set<RuleAndSeverity>;

struct PeerCase {
  const char* directory;
  Verdict expected;
};

// How a failing case is printed.
void PrintTo(const PeerCase& peer, std::ostream* out) { *out << peer.directory; }

const RuleAndSeverity kExpertsNotFused = {"V01", Severity::kError};
const RuleAndSeverity kScaleUnusable = {"V02", Severity::kError};

const std::vector<PeerCase>& PeerCases() {
  static const std::vector<PeerCase> cases = {
      // group_size only inside config_groups, the cache's scheme in two spellings: engines read
      // both.
      {"modelopt_nvfp4_kv_fp8", {}},
      // lm_head is excluded and absent, because it is the embedding.
      {"modelopt_nvfp4_tied", {}},
      // Weight-only: no module has an input scale, and the configuration says so.
      {"modelopt_w4a16_nvfp4", {}},
      // Nothing is excluded, quantized_layers decides; FP8 shards may differ in their scales.
      {"modelopt_mixed", {}},
      // "model.layers.N.self_attn*" excludes BF16 projections and no others.
      {"modelopt_nvfp4_experts_only", {}},
      // Experts without a token have the scales of their layer.
      {"modelopt_nvfp4_moe_unrouted", {}},
      // q_a_proj and kv_a_proj_with_mqa, which engines fuse, share their scales.
      {"modelopt_nvfp4_deepseek_v3_unrouted", {}},
      // Weight-only: input_activations is null, which TensorRT-LLM does not expect of NVFP4.
      {"llmcompressor_nvfp4a16", {{"V13", Severity::kWarning}}},
      // Two groups that share no module; FP8 rows have BF16 scales.
      {"llmcompressor_mixed", {}},
      // Every expert calibrated; down_proj's input scales differ between experts, which they may.
      {"llmcompressor_nvfp4_moe", {}},
      // Input scales of experts without a token are memory never set, gate's another than up's.
      {"llmcompressor_nvfp4_moe_unrouted",
       {kExpertsNotFused,
        kScaleUnusable,
        {"V02", Severity::kWarning},
        {"S01", Severity::kWarning}}},
      // self_attn.k_scale and v_scale, in BF16.
      {"llmcompressor_nvfp4_kv_fp8", {}},
      // w1 and w3 of each expert have global scales of their own.
      {"llmcompressor_nvfp4_mixtral", {kExpertsNotFused}},
  };
  return cases;
}

AuditReport AuditPeer(const std::string& directory) {
  return Validate({.directory = std::filesystem::path(VERNIER_TEST_DATA) / "peers" / directory});
}

int64_t CountOf(const AuditReport& report, const std::string& rule) {
  int64_t count = 0;
  for (const Finding& finding : report.findings) {
    if (finding.rule == rule) count += finding.tensor_count;
  }
  return count;
}

class PeerTest : public ::testing::TestWithParam<PeerCase> {};

TEST_P(PeerTest, FindsWhatIsWrongAndNothingElse) {
  const AuditReport report = AuditPeer(GetParam().directory);
  Verdict verdict;
  for (const Finding& finding : report.findings) verdict.insert({finding.rule, finding.severity});
  EXPECT_EQ(verdict, GetParam().expected) << ReportText(report);
}

INSTANTIATE_TEST_SUITE_P(Toolkits, PeerTest, ::testing::ValuesIn(PeerCases()),
                         [](const auto& info) { return std::string(info.param.directory); });

// 11 of the 24 are negative; the others are positive, but from 1e-45 to 1e36 where the calibrated
// ones lie between 660 and 15552.
TEST(UnroutedExpertsTest, EveryScaleThatWasNeverSetIsCounted) {
  EXPECT_EQ(CountOf(AuditPeer("llmcompressor_nvfp4_moe_unrouted"), "V02"), 24);
}

TEST(UnroutedExpertsTest, EveryExpertWhoseGateAndUpDifferIsCounted) {
  EXPECT_EQ(CountOf(AuditPeer("llmcompressor_nvfp4_moe_unrouted"), "V01"), 8);
  EXPECT_EQ(CountOf(AuditPeer("llmcompressor_nvfp4_mixtral"), "V01"), 4);
}

}  // namespace
}  // namespace vernier::audit

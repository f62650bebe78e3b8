// Published checkpoints are accepted, by their headers and configurations: what fires is true of
// them, and no error.
#include <map>

#include "tests/audit/audit_test_base.h"
#include "tests/audit/published_model.h"

namespace vernier::audit {
namespace {

// V03: MTP experts stay MXFP4 beside NVFP4 ones. V07: scales of latents, which vLLM does not read.
// V13: no quantization_config in config.json.
Rules ExpectedRules(const std::string& name) {
  static const std::map<std::string, Rules> kExpected = {
      {"nvidia--DeepSeek-V4-Flash-NVFP4", {"V03"}},
      {"nvidia--DeepSeek-V4-Pro-NVFP4", {"V03"}},
      {"nvidia--DeepSeek-V3.1-NVFP4", {"V07", "V13"}},
      {"nvidia--DeepSeek-V3.2-NVFP4", {"V07", "V13"}},
      {"nvidia--Qwen3-235B-A22B-NVFP4", {"V13"}},
  };
  const auto found = kExpected.find(name);
  return found == kExpected.end() ? Rules() : found->second;
}

class PublishedTest : public ::testing::TestWithParam<std::string> {
 protected:
  testing::TempDir directory_;
};

TEST_P(PublishedTest, IsAccepted) {
  WritePublishedModel(GetParam(), {}, directory_.path());
  const AuditReport report = Validate({.directory = directory_.path()});
  EXPECT_EQ(RulesOf(report), ExpectedRules(GetParam())) << ReportText(report);
  EXPECT_TRUE(report.Clean());
}

TEST_P(PublishedTest, AStaleIndexIsAnError) {
  WritePublishedModel(GetParam(), {.stale_index_size = true}, directory_.path());
  EXPECT_TRUE(RulesOf(Validate({.directory = directory_.path()})).contains("V13"));
}

INSTANTIATE_TEST_SUITE_P(Names, PublishedTest, ::testing::ValuesIn(PublishedNames()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace_if(
                               name.begin(), name.end(),
                               [](unsigned char c) { return !std::isalnum(c); }, '_');
                           return name;
                         });

}  // namespace
}  // namespace vernier::audit

#include "audit/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "audit/report_json.h"
#include "audit/report_text.h"

namespace vernier::audit {
namespace {

using ::testing::HasSubstr;

constexpr Defect kBroken = {"V99", Severity::kError, "it is broken", "Mend it"};
constexpr Defect kOdd = {"A01", Severity::kWarning, "it is odd", "Look at it"};

TEST(FindingList, MergesTheSameDefectAndSortsErrorsFirst) {
  FindingList list;
  list.Add(kOdd, "a");
  for (int i = 0; i < 7; ++i) list.Add(kBroken, "t" + std::to_string(i));
  EXPECT_TRUE(list.HasErrors());
  const std::vector<Finding> findings = list.Sorted();
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].rule, "V99");
  EXPECT_EQ(findings[0].tensor_count, 7);
  EXPECT_EQ(findings[0].tensors, (std::vector<std::string>{"t0", "t1", "t2", "t3"}));
  EXPECT_EQ(findings[1].rule, "A01");
}

TEST(FindingList, WarningsAreNoErrors) {
  FindingList list;
  list.Add(kOdd, "a");
  EXPECT_FALSE(list.HasErrors());
}

TEST(ErrorStatistics, MergesAndDerives) {
  ErrorStatistics total{1, 1, 10, 0, 0.0, 9.0, 0.0};
  EXPECT_EQ(total.RelativeError(), 0.0);
  EXPECT_TRUE(std::isinf(total.SqnrDb()));
  total.Merge({1, 0, 10, 5, 1.0, 91.0, 0.5});
  EXPECT_DOUBLE_EQ(total.RelativeError(), 0.1);
  EXPECT_DOUBLE_EQ(total.SqnrDb(), 20.0);
  EXPECT_DOUBLE_EQ(total.SaturatedShare(), 0.25);
  EXPECT_EQ(total.max_abs_error, 0.5);
  EXPECT_EQ(total.exact, 1);
}

TEST(ErrorStatistics, ErrorOnAnAllZeroSourceIsInfinite) {
  EXPECT_TRUE(std::isinf(ErrorStatistics{1, 0, 1, 0, 1.0, 0.0, 1.0}.RelativeError()));
  EXPECT_EQ(ErrorStatistics{}.SaturatedShare(), 0.0);
}

AuditReport ReportWithFindings() {
  FindingList list;
  for (int i = 0; i < 6; ++i) list.Add(kBroken, "t" + std::to_string(i));
  AuditReport report;
  report.directory = "out";
  report.source = "in";
  report.tensors = 12;
  report.findings = list.Sorted();
  report.role_errors = {{checkpoint::Role::kRoutedExpert, {1, 0, 10, 0, 1.0, 100.0, 0.5}}};
  report.overall_error = report.role_errors[0].statistics;
  return report;
}

TEST(ReportText, SaysWhatToDo) {
  const std::string text = ReportText(ReportWithFindings());
  EXPECT_THAT(text, HasSubstr("out: 1 error, 0 warnings (12 tensors"));
  EXPECT_THAT(text, HasSubstr("error   V99  it is broken"));
  EXPECT_THAT(text, HasSubstr("and 2 more"));
  EXPECT_THAT(text, HasSubstr("-> Mend it"));
  EXPECT_THAT(text, HasSubstr("routed_expert"));
  EXPECT_THAT(text, HasSubstr("20.00"));
}

TEST(ReportJson, HoldsTheSameNumbers) {
  const Json json = ReportJson(ReportWithFindings());
  EXPECT_EQ(json["clean"], false);
  EXPECT_EQ(json["counts"]["error"], 1);
  EXPECT_EQ(json["findings"][0]["count"], 6);
  EXPECT_EQ(json["findings"][0]["severity"], "error");
  EXPECT_DOUBLE_EQ(json["errors"]["roles"]["routed_expert"]["sqnr_db"].get<double>(), 20.0);
  AuditReport exact;
  EXPECT_TRUE(ReportJson(exact)["errors"]["overall"]["sqnr_db"].is_null());
  EXPECT_TRUE(ReportJson(exact)["source"].is_null());
}

}  // namespace
}  // namespace vernier::audit

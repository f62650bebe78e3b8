// Helpers that the audit's tests share: write a model, validate it, name the rules that fired.
#ifndef VERNIER_TESTS_AUDIT_AUDIT_TEST_BASE_H_
#define VERNIER_TESTS_AUDIT_AUDIT_TEST_BASE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "audit/report_text.h"
#include "audit/validate.h"
#include "tests/audit/corpus.h"
#include "tests/audit/nvfp4_model.h"
#include "tests/support/temp_dir.h"

namespace vernier::audit {

// The small DeepSeek-V4 that tests corrupt has not the head sizes that vLLM wants, and never will.
inline bool IsOfHeadSizes(const Finding& finding) {
  return finding.rule == "C03" && finding.what.find("head sizes") != std::string::npos;
}

inline Rules RulesOf(const AuditReport& report) {
  Rules rules;
  for (const Finding& finding : report.findings) {
    if (!IsOfHeadSizes(finding)) rules.insert(finding.rule);
  }
  return rules;
}

// Without what is true of the small DeepSeek-V4 anyway.
inline AuditReport OfSmallModel(AuditReport report) {
  std::erase_if(report.findings, IsOfHeadSizes);
  return report;
}

class AuditTest : public ::testing::Test {
 protected:
  static const ModelFiles& Native() {
    static const ModelFiles model = MakeNativeModel();
    return model;
  }
  static const ModelFiles& NativeWithMtp() {
    static const ModelFiles model = MakeNativeModel(/*mtp_layers=*/1);
    return model;
  }

  std::filesystem::path Directory() const { return directory_.path() / "model"; }
  std::filesystem::path SourceDirectory() const { return directory_.path() / "source"; }

  AuditReport Audit(const ModelFiles& model, bool full = false) const {
    model.Write(Directory());
    return OfSmallModel(Validate(
        {.directory = Directory(), .depth = full ? AuditDepth::kFull : AuditDepth::kScales}));
  }

  AuditReport AuditAgainst(const ModelFiles& source, const ModelFiles& model) const {
    model.Write(Directory());
    source.Write(SourceDirectory());
    return OfSmallModel(Validate({.directory = Directory(), .source = SourceDirectory()}));
  }

  testing::TempDir directory_;
};

// The findings in the message make a failing expectation explain itself.
#define EXPECT_RULES(report, ...)                                                        \
  do {                                                                                   \
    const ::vernier::audit::AuditReport& actual = (report);                              \
    EXPECT_EQ(::vernier::audit::RulesOf(actual), (::vernier::audit::Rules{__VA_ARGS__})) \
        << ::vernier::audit::ReportText(actual);                                         \
  } while (false)

}  // namespace vernier::audit

#endif  // VERNIER_TESTS_AUDIT_AUDIT_TEST_BASE_H_

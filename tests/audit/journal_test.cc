// Interrupted audits: whatever is left of a journal, the report is that of an undisturbed one.
#include "audit/journal.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "audit/report_json.h"
#include "base/file.h"
#include "tests/audit/audit_test_base.h"
#include "tests/support/expect_error.h"

namespace vernier::audit {
namespace {

class JournalTest : public AuditTest {
 protected:
  JournalTest() {
    Native().Write(SourceDirectory());
    ModelFiles model = MakeNvfp4Model(Native(), Conversion::kMax);
    model.At("norm.weight").bytes[0] ^= std::byte{1};                               // C02
    model.At("layers.0.ffn.experts.0.w2.weight_scale").bytes[3] = std::byte{0xFF};  // B01
    model.Write(Directory());
  }

  std::filesystem::path JournalPath() const { return directory_.path() / "audit.journal"; }

  AuditReport Run(bool with_journal = true, ReadCallback on_read = {}) const {
    return Validate({.directory = Directory(),
                     .source = SourceDirectory(),
                     .journal = with_journal ? JournalPath() : std::filesystem::path(),
                     .on_read = std::move(on_read)});
  }

  // Without the finding that a journal was begun anew, which `begun_anew` gets.
  static Json JsonOf(AuditReport report, bool* begun_anew = nullptr) {
    const auto removed = std::erase_if(
        report.findings, [](const Finding& finding) { return finding.rule == "J01"; });
    if (begun_anew != nullptr) *begun_anew = removed > 0;
    return ReportJson(report);
  }

  uint64_t BytesRead() const {
    uint64_t bytes = 0;
    Run(true, [&](uint64_t done, uint64_t) { bytes = done; });
    return bytes;
  }
};

TEST_F(JournalTest, ASecondAuditReadsNothingAgainAndSaysTheSame) {
  const Json expected = JsonOf(Run(false));
  const uint64_t all = BytesRead();
  bool begun_anew = true;
  EXPECT_EQ(JsonOf(Run(), &begun_anew), expected);
  EXPECT_FALSE(begun_anew);
  EXPECT_LT(BytesRead(), all / 100);
  EXPECT_GT(expected["errors"]["overall"]["weights"].get<int64_t>(), 30);
}

TEST_F(JournalTest, CutAnywhereItIsContinued) {
  const Json expected = JsonOf(Run());
  const std::string whole = ReadWholeFile(JournalPath());
  for (size_t length = 0; length < whole.size(); length += whole.size() / 41 + 1) {
    WriteFileAtomically(JournalPath(), whole.substr(0, length));
    bool begun_anew = true;
    EXPECT_EQ(JsonOf(Run(), &begun_anew), expected) << length;
    EXPECT_FALSE(begun_anew) << length;
    // Modules come back in another order when some are known.
    EXPECT_EQ(ReadWholeFile(JournalPath()).size(), whole.size()) << length;
  }
}

TEST_F(JournalTest, ADamagedLastLineIsDropped) {
  const Json expected = JsonOf(Run());
  std::string text = ReadWholeFile(JournalPath());
  text[text.size() - 60] ^= 1;
  WriteFileAtomically(JournalPath(), text);
  bool begun_anew = true;
  EXPECT_EQ(JsonOf(Run(), &begun_anew), expected);
  EXPECT_FALSE(begun_anew);
}

TEST_F(JournalTest, DamagedElsewhereItIsNotTrusted) {
  const Json expected = JsonOf(Run());
  const std::string whole = ReadWholeFile(JournalPath());
  const size_t last_line = whole.rfind('\n', whole.size() - 2);
  for (size_t place = 30; place < last_line; place += whole.size() / 37) {
    std::string text = whole;
    text[place] ^= 2;
    WriteFileAtomically(JournalPath(), text);
    bool begun_anew = false;
    EXPECT_EQ(JsonOf(Run(), &begun_anew), expected) << place;
    EXPECT_TRUE(begun_anew) << place;
    EXPECT_EQ(ReadWholeFile(JournalPath()).size(), whole.size());
  }
}

TEST_F(JournalTest, AnInterruptedAuditKeepsWhatItFinished) {
  const Json expected = JsonOf(Run(false));
  EXPECT_VERNIER_ERROR(Run(true,
                           [](uint64_t done, uint64_t total) {
                             if (2 * done < total) return;
                             throw Error(ErrorCode::kInterrupted, "audit", "was interrupted", "");
                           }),
                       ErrorCode::kInterrupted, "audit");
  const uint64_t all = expected["bytes"].get<uint64_t>();
  uint64_t left = 0;
  EXPECT_EQ(JsonOf(Run(true, [&](uint64_t, uint64_t total) { left = total; })), expected);
  EXPECT_LT(left, all * 3 / 2);
  EXPECT_GT(left, 0u);
}

TEST_F(JournalTest, OtherFilesOfTheSameHeadersAreAnotherAudit) {
  Run();
  ModelFiles model = MakeNvfp4Model(Native());
  model.Write(Directory());
  bool begun_anew = false;
  EXPECT_EQ(JsonOf(Run(), &begun_anew), JsonOf(Run(false)));
  EXPECT_TRUE(begun_anew);
  const auto full =
      Validate({.directory = Directory(), .depth = AuditDepth::kFull, .journal = JournalPath()});
  JsonOf(full, &begun_anew);
  EXPECT_TRUE(begun_anew);
}

TEST_F(JournalTest, SomethingElseIsNotOverwritten) {
  WriteFileAtomically(JournalPath(), "dear diary");
  EXPECT_VERNIER_ERROR(Run(), ErrorCode::kBadArgument, "audit.journal");
  EXPECT_EQ(ReadWholeFile(JournalPath()), "dear diary");
}

TEST_F(JournalTest, WhatCannotBeWrittenIsAnError) {
  const auto run = [&](const std::filesystem::path& journal) {
    Validate({.directory = Directory(), .depth = AuditDepth::kFull, .journal = journal});
  };
  EXPECT_VERNIER_ERROR(run("/dev/full"), ErrorCode::kNoSpace, "/dev/full");
  EXPECT_VERNIER_ERROR(run(directory_.path() / "absent" / "journal"), ErrorCode::kFileOpen,
                       "absent");
}

}  // namespace
}  // namespace vernier::audit

// `vernier report` of runs and of what became of their output, and `vernier validate --report`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/command.h"
#include "tests/tools/convert_fixture.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

// The JSON that a page embeds.
Json Embedded(const fs::path& page) {
  const std::string text = ReadWholeFile(page);
  const std::string opening = "id=\"report-data\">";
  const size_t begin = text.find(opening) + opening.size();
  return ParseJson(text.substr(begin, text.find("</script>", begin) - begin), page.string());
}

class ReportTest : public ConvertFixture {
 protected:
  ReportTest() {
    WriteLlama();
    Convert(Llama(), "out", {"--run-dir", Run().string(), "--validate"});
  }

  fs::path Run() const { return Place("run"); }
  fs::path Page() const { return Run() / "report.html"; }

  // `vernier report` with `arguments` behind the run.
  CommandResult Report(std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"report", Run().string(), "--progress", "json"});
    return RunVernier(arguments);
  }

  // Gives the audit that the run saved a mark by which it is known again.
  void MarkSavedAudit() const {
    Json saved = ReadJsonFile(Run() / "audit.json");
    saved["audit"]["mark"] = "saved";
    WriteFileAtomically(Run() / "audit.json", saved.dump());
  }
};

TEST_F(ReportTest, ShowsTheAuditThatTheRunEndedWith) {
  MarkSavedAudit();
  const CommandResult result = Report();
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.output, "report       " + Page().string() + "\n");
  EXPECT_THAT(result.errors, Not(HasSubstr("validate"))) << "nothing is audited again";
  const Json data = Embedded(Page());
  EXPECT_EQ(data.at("audit").at("mark"), "saved");
  EXPECT_EQ(data.at("audit").at("source"), Llama().string());
  EXPECT_GT(data.at("audit").at("errors").at("overall").at("weights"), 0);
  const Json& run = data.at("run");
  EXPECT_EQ(run.at("directory"), Run().string());
  EXPECT_EQ(run.at("exports")[0].at("audit_errors"), 0);
  EXPECT_THAT(run.at("commands")[0].at("line").get<std::string>(), HasSubstr(" convert "));
  EXPECT_EQ(run.at("phases").size(), 2u);
  EXPECT_TRUE(run.at("audit_absent").is_null());
}

TEST_F(ReportTest, EqualRunsGiveEqualPagesAndNothingElseIsWritten) {
  const auto before = HashTree(Run());
  const fs::path first = Place("first.html"), second = Place("second.html");
  ASSERT_EQ(Report({"--out", first.string()}).exit_code, 0);
  ASSERT_EQ(Report({"--out", second.string()}).exit_code, 0);
  EXPECT_EQ(ReadWholeFile(first), ReadWholeFile(second));
  EXPECT_EQ(HashTree(Run()), before);
}

TEST_F(ReportTest, AuditsAgainWhatHasChanged) {
  MarkSavedAudit();
  const fs::path config = Place("out") / "config.json";
  WriteFileAtomically(config, ReadWholeFile(config) + "\n");
  ASSERT_EQ(Report().exit_code, 0);
  const Json data = Embedded(Page());
  EXPECT_FALSE(data.at("audit").contains("mark"));
  EXPECT_EQ(data.at("audit").at("source"), Llama().string()) << "the source is still there";

  fs::remove_all(Llama());
  ASSERT_EQ(Report().exit_code, 0);
  EXPECT_TRUE(Embedded(Page()).at("audit").at("source").is_null());
}

TEST_F(ReportTest, AuditsAgainWithoutASavedAudit) {
  fs::remove(Run() / "audit.json");
  ASSERT_EQ(Report().exit_code, 0);
  const Json data = Embedded(Page());
  EXPECT_EQ(data.at("audit").at("directory"), Place("out").string());
  EXPECT_TRUE(data.at("audit").at("source").is_null());
}

TEST_F(ReportTest, SaysThatTheOutputIsGone) {
  fs::remove_all(Place("out"));
  ASSERT_EQ(Report().exit_code, 0);
  const Json data = Embedded(Page());
  EXPECT_TRUE(data.at("audit").is_null());
  EXPECT_THAT(data.at("run").at("audit_absent").get<std::string>(),
              HasSubstr(Place("out").string() + ", which this run wrote, is not there"));
}

TEST_F(ReportTest, RefusesWhatIsNoRunAndWhatCannotBeWritten) {
  ExpectFailure(RunVernier({"report", Place("nowhere").string()}), "VN-STORE-004");
  EXPECT_FALSE(fs::exists(Place("nowhere")));
  ExpectFailure(Report({"--out", Place("no/such/page.html").string()}), "VN-FILE-001");
  WriteFileAtomically(Run() / "audit.json", "{");
  ExpectFailure(Report(), "VN-FILE-005");
}

TEST_F(ReportTest, ValidateWritesWhatItPrints) {
  const fs::path page = Place("page.html");
  const CommandResult result =
      RunVernier({"validate", Place("out").string(), "--source", Llama().string(), "--json",
                  "--report", page.string(), "--progress", "none"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const Json data = Embedded(page);
  EXPECT_EQ(data.at("audit"), ParseJson(result.output, "validate"));
  EXPECT_TRUE(data.at("run").is_null());

  const CommandResult unwritable =
      RunVernier({"validate", Place("out").string(), "--report", Place("no/page.html").string()});
  EXPECT_EQ(unwritable.exit_code, 2);
  EXPECT_THAT(unwritable.errors, HasSubstr("VN-FILE-001"));
}

}  // namespace
}  // namespace vernier::testing

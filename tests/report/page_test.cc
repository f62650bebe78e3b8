// How the page is put together, and what of it could do harm.
#include "report/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "audit/report_json.h"
#include "base/file.h"
#include "report/page_parts.h"
#include "tests/report/rich_report.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::report {
namespace {

using ::testing::HasSubstr;
using testing::kHostileText;
using ::testing::Not;

size_t Occurrences(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

// The JSON that `page` embeds.
Json Embedded(const std::string& page) {
  const std::string opening = "<script type=\"application/json\" id=\"report-data\">";
  const size_t begin = page.find(opening) + opening.size();
  return ParseJson(page.substr(begin, page.find("</script>", begin) - begin), "page");
}

TEST(ScriptSafeJson, HasNothingThatEndsAScript) {
  const Json json = {{kHostileText, {"<!--", "]]>", kHostileText}}};
  const std::string text = ScriptSafeJson(json);
  EXPECT_EQ(text.find_first_of("<>&"), std::string::npos);
  EXPECT_EQ(ParseJson(text, "text"), json) << "the strings are still what they were";
}

TEST(ScriptSafeJson, WritesWhatJsonCannotHold) {
  EXPECT_EQ(ScriptSafeJson({std::numeric_limits<double>::quiet_NaN(),
                            std::numeric_limits<double>::infinity()}),
            "[null,null]");
  EXPECT_EQ(ScriptSafeJson("a\xff"
                           "b"),
            "\"a\xef\xbf\xbd"
            "b\"");
}

TEST(PageParts, AreWhole) {
  EXPECT_THAT(std::string(kPageHtml), HasSubstr("</html>"));
  EXPECT_THAT(std::string(kPageCss), HasSubstr("@media print"));
  EXPECT_THAT(std::string(kPageJs), HasSubstr("drawHeader();\n"));
  EXPECT_EQ(kPageJs.find("</script"), std::string_view::npos);
  EXPECT_EQ(kPageJs.find("<!--"), std::string_view::npos);
}

// Whatever would take text for HTML or code, or load something.
TEST(PageParts, TakeNoTextForMoreThanText) {
  for (const char* word : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval",
                           "Function(", "fetch(", "import(", "XMLHttpRequest"}) {
    EXPECT_THAT(std::string(kPageJs), Not(HasSubstr(word)));
  }
  const std::string css(kPageCss);
  EXPECT_THAT(css, Not(HasSubstr("url(")));
  EXPECT_THAT(css, Not(HasSubstr("@import")));
  EXPECT_THAT(std::string(kPageHtml), HasSubstr("default-src 'none'"));
}

TEST(PageHtml, EmbedsWhatItWasGiven) {
  const Json audit = audit::ReportJson(testing::RichAudit({.layers = 5, .experts = 8}));
  const Json run = testing::RichRun({.layers = 5, .experts = 8});
  const std::string page = PageHtml({.audit = audit, .run = run});
  EXPECT_EQ(Embedded(page).at("audit"), audit);
  EXPECT_EQ(Embedded(page).at("run"), run);
  EXPECT_EQ(Occurrences(page, "<script"), 2u) << "the data and the program, whatever the strings";
  EXPECT_EQ(Occurrences(page, "</script"), 2u);
  EXPECT_EQ(page, PageHtml({.audit = audit, .run = run}));
}

TEST(PageHtml, NothingIsNull) {
  const Json json = Embedded(PageHtml({}));
  EXPECT_TRUE(json.at("audit").is_null());
  EXPECT_TRUE(json.at("run").is_null());
}

TEST(PageHtml, AModelOf61LayersAnd384ExpertsTakesLessThanThreeMegabytes) {
  const std::string page =
      PageHtml({.audit = audit::ReportJson(testing::RichAudit()), .run = testing::RichRun()});
  EXPECT_LT(page.size(), 3'000'000u);
}

TEST(WritePage, SaysWhichFileCannotBeWritten) {
  const testing::TempDir dir;
  const std::filesystem::path path = dir.path() / "no such directory/page.html";
  EXPECT_VERNIER_ERROR(WritePage(path, {}), ErrorCode::kFileOpen, path.parent_path().string());
  WritePage(dir.path() / "page.html", {});
  EXPECT_EQ(ReadWholeFile(dir.path() / "page.html"), PageHtml({}));
}

}  // namespace
}  // namespace vernier::report

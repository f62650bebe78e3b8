// The page as a browser draws it: nothing goes wrong, every section is there, and every number is
// the report's.
#include "tests/report/chromium.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "audit/report_json.h"
#include "base/file.h"
#include "report/page.h"
#include "tests/report/rendered_page.h"
#include "tests/report/rich_report.h"
#include "tests/support/temp_dir.h"

namespace vernier::testing {
namespace {

using report::PageContent;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kSections[] = {"verdict", "findings", "engines", "errors", "blocks",
                                     "amax",    "experts",  "config",  "run"};

// How often a rendered page has `part`, below its data and its program.
size_t Occurrences(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

class ChromiumTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!HaveChromium()) GTEST_SKIP() << "chromium is not installed (tools/test_packages.txt)";
  }

  // `probe`: a script that runs when the page is drawn.
  RenderedPage Show(const PageContent& content, const std::string& probe = "") const {
    std::string html = report::PageHtml(content);
    const std::string end = "</body>";
    html.replace(html.rfind(end), end.size(), "<script>" + probe + "</script>" + end);
    const std::filesystem::path page = dir_.path() / "page.html";
    WriteFileAtomically(page, html);
    RenderedPage rendered = Render(page, dir_.path());
    EXPECT_EQ(rendered.exit_code, 0);
    EXPECT_EQ(rendered.console, "");
    return rendered;
  }

  TempDir dir_;
};

PageContent Rich(const RichOptions& options = {}) {
  return {.audit = audit::ReportJson(RichAudit(options)), .run = RichRun(options)};
}

Json AsJson(const PageContent& content) { return {{"audit", content.audit}, {"run", content.run}}; }

TEST_F(ChromiumTest, ALargeReportShowsItsNumbersInEverySection) {
  const PageContent content = Rich();
  const Json report = AsJson(content);
  const std::string dom = Show(content).dom;
  for (const char* id : kSections) {
    EXPECT_THAT(dom, HasSubstr(std::string("<section id=\"") + id + "\""));
  }
  const std::vector<ShownValue> values = ShownValues(dom);
  std::set<std::string> paths;
  size_t failures = 0;
  for (const ShownValue& shown : values) {
    paths.insert(shown.path);
    const ::testing::AssertionResult result = ShowsItsValue(shown, report);
    if (!result && ++failures <= 10) ADD_FAILURE() << result.message();
  }
  EXPECT_EQ(failures, 0u) << "of " << values.size();
  EXPECT_GT(values.size(), 5000u);
  for (const char* path :
       {"audit.errors.overall.relative_error", "audit.errors.roles.attention.sqnr_db",
        "audit.errors.worst.0.module", "audit.findings.0.count", "audit.engines.2.refusal",
        "audit.engines.0.modules.w4%2Ea16", "audit.engines.1.tensor_parallel.3.problems",
        "audit.cells.5.error.saturated_share", "audit.cells.5.blocks.at_maximum",
        "audit.cells.5.weight_amax.median", "audit.config_changes.1.after",
        "run.calibration.samples", "run.calibration.layers.60.seconds", "run.inputs.121.max",
        "run.non_finite.records.0.value", "run.exports.0.bytes", "run.commands.0.line",
        "run.phases.0.seconds", "run.events.0.detail"}) {
    EXPECT_TRUE(paths.contains(path)) << path;
  }
}

TEST_F(ChromiumTest, NamesThatLookLikeMarkupAreText) {
  const PageContent content = Rich({.layers = 4, .experts = 4});
  const RenderedPage page = Show(content);
  std::vector<std::string> texts;
  for (const ShownValue& shown : ShownValues(page.dom)) texts.push_back(shown.text);
  EXPECT_THAT(texts, ::testing::Contains(kHostileText));
  EXPECT_EQ(Occurrences(page.dom, "<script"), 3u) << "data, program and probe";
  const size_t body = page.dom.find("<main");
  EXPECT_THAT(page.dom.substr(body, page.dom.find("</main>") - body), Not(HasSubstr("<b title")));
}

TEST_F(ChromiumTest, SectionsWithoutDataSaySo) {
  for (const PageContent& content :
       {PageContent{}, PageContent{.audit = audit::ReportJson(audit::AuditReport{})}}) {
    const std::string dom = Show(content).dom;
    for (const char* id : kSections) {
      const size_t begin = dom.find(std::string("<section id=\"") + id + "\"");
      ASSERT_NE(begin, std::string::npos) << id;
      const std::string section = dom.substr(begin, dom.find("</section>", begin) - begin);
      const bool has_verdict = std::string_view(id) == "verdict" && !content.audit.is_null();
      EXPECT_THAT(section, HasSubstr(has_verdict ? "class=\"tiles\"" : "class=\"note\"")) << id;
    }
  }
}

TEST_F(ChromiumTest, FiltersAndSwitchesWork) {
  const char* probe = R"(
    const kept = () => [...document.querySelectorAll("#findings tbody tr")]
      .filter((row) => !row.hidden).map((row) => row.cells[1].textContent).join(" ");
    const choose = (index, value) => {
      const select = document.querySelectorAll("#findings select")[index];
      select.value = value;
      select.dispatchEvent(new Event("change"));
      return kept();
    };
    const result = {all: kept(), errors: choose(0, "error"), sglang: choose(1, "SGLang"),
                    none: choose(2, "V03")};
    const colours = () => [...document.querySelectorAll("#errors .grid .cell")]
      .map((cell) => cell.style.getPropertyValue("--mix")).join();
    const before = colours();
    document.querySelectorAll("#errors .switch button")[2].click();
    result.other_colours = before !== colours();
    const strip = document.querySelector("#experts canvas");
    const pixels = () => {
      const copy = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
      copy.canvas.width = strip.width;
      copy.drawImage(strip, 0, 0);
      return copy.getImageData(0, 0, strip.width, 1).data.join();
    };
    const by_load = pixels();
    document.querySelectorAll("#experts .switch button")[1].click();
    result.other_order = by_load !== pixels();
    result.shades = new Set(by_load.match(/\d+,\d+,\d+,255/g)).size;
    const cell = document.querySelector("#errors .grid .cell");
    cell.focus();
    cell.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
    result.readout = document.querySelector("#errors .readout").textContent;
    result.fits = document.documentElement.scrollWidth <= innerWidth;
    document.body.append(Object.assign(document.createElement("pre"),
                                       {id: "result", textContent: JSON.stringify(result)}));
  )";
  const std::string dom = Show(Rich({.layers = 9, .experts = 32}), probe).dom;
  const std::string opening = "<pre id=\"result\">";
  const size_t begin = dom.find(opening);
  ASSERT_NE(begin, std::string::npos) << "the probe did not get to its end";
  const size_t text = begin + opening.size();
  const Json result = ParseJson(PlainText(dom.substr(text, dom.find("</pre>", text) - text)), "");
  EXPECT_EQ(result.at("all"), "B02 V07 V03 C04");
  EXPECT_EQ(result.at("errors"), "B02 V07");
  EXPECT_EQ(result.at("sglang"), "B02");
  EXPECT_EQ(result.at("none"), "");
  EXPECT_EQ(result.at("other_colours"), true);
  EXPECT_EQ(result.at("other_order"), true);
  EXPECT_GT(result.at("shades").get<int>(), 8);
  EXPECT_THAT(result.at("readout").get<std::string>(), HasSubstr("attention of layer 1: "));
  EXPECT_EQ(result.at("fits"), true);
}

TEST(ShowsItsValue, TellsWrongNumbersFromRightOnes) {
  const Json report = {{"a", {{"b.c", 0.123456}}}, {"n", {1234567, nullptr}}};
  const auto shows = [&](const char* path, const char* format, const char* text) {
    return static_cast<bool>(ShowsItsValue({path, format, text}, report));
  };
  EXPECT_TRUE(shows("a.b%2Ec", "number", "0.1235"));
  EXPECT_FALSE(shows("a.b%2Ec", "number", "0.1234"));
  EXPECT_FALSE(shows("a.b%2Ec", "number", "0.12"));
  EXPECT_TRUE(shows("a.b%2Ec", "share", "12.35%"));
  EXPECT_FALSE(shows("a.b%2Ec", "share", "12.35"));
  EXPECT_TRUE(shows("n.0", "count", "1,234,567"));
  EXPECT_FALSE(shows("n.0", "count", "1234567"));
  EXPECT_TRUE(shows("n.1", "count", "\u2013"));
  EXPECT_FALSE(shows("n.1", "count", "0"));
  EXPECT_EQ(ShownValues("<td data-path=\"n.0\" data-format=\"count\" class=\"x\">1 &lt; 2</td>")
                .at(0)
                .text,
            "1 < 2");
}

}  // namespace
}  // namespace vernier::testing

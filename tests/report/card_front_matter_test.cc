#include "report/card_front_matter.h"

#include <gtest/gtest.h>

namespace vernier::report {
namespace {

constexpr std::string_view kCard =
    "---\n"
    "license: other\n"
    "license_name: some-licence\n"
    "datasets:\n"
    "- a/b\n"
    "language:\n"
    "- en\n"
    "- de\n"
    "pipeline_tag: text-generation\r\n"
    "---\n"
    "# Title\n"
    "license: not here\n";

TEST(CardFrontMatterTest, CarriesWhatIsTrueOfAQuantisedModelToo) {
  EXPECT_EQ(CarriedFrontMatter(kCard),
            "license: other\nlicense_name: some-licence\nlanguage:\n- en\n- de\n"
            "pipeline_tag: text-generation\n");
}

TEST(CardFrontMatterTest, ReadsAValue) {
  EXPECT_EQ(FrontMatterValue(kCard, "license"), "other");
  EXPECT_EQ(FrontMatterValue("---\nlicense:  \"mit\" \n---\n", "license"), "mit");
  EXPECT_EQ(FrontMatterValue(kCard, "licence"), "");
}

TEST(CardFrontMatterTest, AFieldEndsWhereTheNextBegins) {
  EXPECT_EQ(CarriedFrontMatter("\xEF\xBB\xBF--- \nlanguage:\n\n# two\n- en\ntags:\n- x\n---\n"),
            "language:\n\n# two\n- en\n");
  EXPECT_EQ(CarriedFrontMatter("---\nlanguage: [\nen,\nde\n]\nlicense: mit\n---\n"),
            "language: [\nen,\nde\n]\nlicense: mit\n");
  EXPECT_EQ(CarriedFrontMatter("---\npipeline_tag: [\na\nlicense: mit\n---\n"), "license: mit\n");
  EXPECT_EQ(FrontMatterValue("---\nlicense: other # see below\n---\n", "license"), "other");
}

TEST(CardFrontMatterTest, IsEmptyWithoutFences) {
  for (const std::string_view text : {"", "---", "---\nlicense: mit\n", "license: mit\n---\n"}) {
    EXPECT_EQ(CarriedFrontMatter(text), "") << text;
  }
}

}  // namespace
}  // namespace vernier::report

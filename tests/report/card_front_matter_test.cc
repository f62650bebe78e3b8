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

TEST(CardFrontMatterTest, IsEmptyWithoutFences) {
  for (const std::string_view text : {"", "---", "---\nlicense: mit\n", "license: mit\n---\n"}) {
    EXPECT_EQ(CarriedFrontMatter(text), "") << text;
  }
}

}  // namespace
}  // namespace vernier::report

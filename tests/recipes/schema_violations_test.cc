// Every kind of mistake in a recipe, and what the message says about it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "recipes/recipe.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"

namespace vernier::recipes {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::vernier::testing::DocumentWith;
using ::vernier::testing::ErrorOf;
using ::vernier::testing::MinimalDocument;
using ::vernier::testing::Parse;

std::string ParseError(const Json& document) {
  return ErrorOf(ErrorCode::kBadRecipe, [&] { Parse(document); });
}

struct Violation {
  std::string pointer;  // where the wrong value is put
  Json value;
  std::vector<std::string> words;  // that the message must have, besides the pointer
};

class ViolationTest : public ::testing::TestWithParam<Violation> {};

TEST_P(ViolationTest, IsNamedWithItsPlaceAndRemedy) {
  const Violation& violation = GetParam();
  const std::string message = ParseError(DocumentWith(violation.pointer, violation.value));
  EXPECT_THAT(message, HasSubstr("test.json: " + violation.pointer + ":"));
  for (const std::string& word : violation.words) EXPECT_THAT(message, HasSubstr(word));
}

INSTANTIATE_TEST_SUITE_P(
    UnknownFields, ViolationTest,
    ::testing::Values(
        Violation{"/sourse", "x", {"no such field", "Perhaps \"source\" is meant"}},
        Violation{"/calibration/samplse", 3, {"Perhaps \"samples\" is meant"}},
        Violation{"/quantize/0/roll", "x", {"Perhaps \"role\" is meant"}},
        Violation{"/samples", 3, {"misplaced", "belongs in /calibration."}},
        Violation{"/compute/seed", 3, {"misplaced", "belongs in /calibration."}},
        Violation{"/calibration/source", "x", {"misplaced", "belongs in the top level"}},
        Violation{"/compute/path", "x", {"belongs in an entry of /calibration/data"}},
        Violation{"/format", "x", {"an entry of /calibration/data or an entry of /quantize"}},
        Violation{"/device_memroy", 1, {"\"device_memory\" is meant, which belongs in /compute"}},
        Violation{"/export/zzzzzzzzzz", 1, {"Remove it", "dialect"}}));

INSTANTIATE_TEST_SUITE_P(
    WrongTypes, ViolationTest,
    ::testing::Values(
        Violation{"/source", 7, {"7 is an integer, not a string"}},
        Violation{"/calibration/samples", "many", {"\"many\" is a string, not an integer"}},
        Violation{"/calibration/samples", 1.5, {"1.5 is a number with a fraction"}},
        Violation{"/calibration/all_experts", 1, {"1 is an integer, not true or false"}},
        Violation{"/calibration/data", Json::object(), {"{} is an object, not a list"}},
        Violation{"/calibration/data/0/weight", "1", {"\"1\" is a string, not a number"}},
        Violation{"/quantize/0", "experts", {"is a string, not an object"}},
        Violation{"/compute", nullptr, {"null is null, not an object"}},
        Violation{"/compute/device_memory", true, {"not an integer or a string"}}));

INSTANTIATE_TEST_SUITE_P(
    WrongValues, ViolationTest,
    ::testing::Values(
        Violation{"/calibration/packing", "packed", {"Perhaps \"pack\" is meant", "truncate"}},
        Violation{"/calibration/dtype", "f8", {"Choose one of bfloat16, float32"}},
        Violation{"/quantize/0/role", "routed_experts", {"Perhaps \"routed_expert\" is meant"}},
        Violation{"/quantize/0/role", 3, {"3 is an integer, not a string or a list"}},
        Violation{"/quantize/0/role", Json::array(), {"is an empty list"}},
        Violation{"/quantize/0/role", {"norm", "mtp", "norm"}, {"\"norm\" stands twice"}},
        Violation{"/quantize/0/format", 4, {"4 is not an allowed value", "nvfp4, mxfp4"}},
        Violation{"/export/dialect", "modelop", {"Perhaps \"modelopt\" is meant"}},
        Violation{"/quantize/0/format", "fp8_blocks", {"Perhaps \"fp8_block\" is meant"}},
        Violation{"/quantize/0/scale", "four_over_sex", {"Perhaps \"four_over_six\" is meant"}},
        Violation{"/export/dialect", "compressed_tensors", {"\"compressed-tensors\" is meant"}},
        Violation{"/activations", true, {"true is true or false, not a string or a number"}},
        Violation{"/activations", 0, {"greater than 0"}},
        Violation{"/activations", -1.5, {"greater than 0"}},
        Violation{"/activations", "some", {"\"some\" is not an allowed value", "\"none\""}},
        Violation{"/activations", 1e-50, {"1e-50 is no usable input scale"}},
        Violation{"/activations", 1e50, {"1e+50 is no usable input scale"}},
        Violation{"/export/kv_cache", "fp8_casts", {"Perhaps \"fp8_cast\" is meant"}},
        Violation{"/non_finite", "Clamp", {"\"Clamp\"", "\"clamp\""}},
        Violation{"/importance", "", {"is empty"}},
        Violation{"/importance", 3, {"3 is an integer, not a string"}},
        Violation{"/calibration/samples", 0, {"0 is out of range", "at least 1"}},
        Violation{"/calibration/samples", 10000001, {"at most 10000000"}},
        Violation{"/calibration/seed", -1, {"at least 0"}},
        Violation{"/calibration/data/0/weight", 0, {"greater than 0"}},
        Violation{"/calibration/data/0/path", "", {"is empty"}},
        Violation{"/calibration/data", Json::array(), {"is an empty list"}},
        Violation{"/compute/threads", -1, {"out of range"}},
        Violation{"/compute/device", "gpu", {"\"gpu\" is no device", "cuda:N"}},
        Violation{"/compute/device", "cuda:", {"is no device"}},
        Violation{"/compute/device", "cuda:x", {"is no device"}},
        Violation{"/compute/device_memory", "8 gigs", {"\"8 gigs\" is no size", "8GiB"}},
        Violation{"/compute/host_memory", "-1GiB", {"is no size"}},
        Violation{"/compute/device_memory", "110%", {"\"110%\" is no size", "70%"}},
        Violation{"/version", 2, {"2 is not supported", "reads only 1"}}));

TEST(SchemaViolations, MissingFieldsAreNamed) {
  for (const char* field : {"version", "source", "output", "calibration", "quantize"}) {
    Json document = MinimalDocument();
    document.erase(field);
    EXPECT_THAT(ParseError(document),
                HasSubstr("the field \"" + std::string(field) + "\" is missing"));
  }
  EXPECT_THAT(ParseError(DocumentWith("/calibration", Json::object())),
              AllOf(HasSubstr("/calibration:"), HasSubstr("\"data\" is missing")));
  EXPECT_THAT(ParseError(DocumentWith("/quantize/0", {{"role", "norm"}})),
              AllOf(HasSubstr("/quantize/0:"), HasSubstr("\"format\" is missing")));
}

TEST(SchemaViolations, AWrongRoleOfAListIsNamedByItsPlace) {
  EXPECT_THAT(ParseError(DocumentWith("/quantize/0/role", {"norm", "atention", "mtp"})),
              AllOf(HasSubstr("/quantize/0/role/1:"), HasSubstr("\"attention\" is meant")));
}

TEST(SchemaViolations, ARuleNeedsASelector) {
  EXPECT_THAT(ParseError(DocumentWith("/quantize/0", {{"format", "keep"}})),
              AllOf(HasSubstr("/quantize/0:"), HasSubstr("neither \"role\" nor \"name\"")));
}

TEST(SchemaViolations, AKeepRuleHasNoScale) {
  const Json rule = {{"role", "norm"}, {"format", "keep"}, {"scale", "max"}};
  EXPECT_THAT(ParseError(DocumentWith("/quantize/0", rule)),
              AllOf(HasSubstr("/quantize/0/scale:"), HasSubstr("has no scale")));
}

TEST(SchemaViolations, AMethodMustBeOneOfItsFormats) {
  struct Case {
    const char* format;
    const char* scale;
    const char* words;
  };
  for (const Case& bad : {Case{"bf16", "max", "bf16 has no scale to choose"},
                          Case{"mxfp4", "lossless", "Choose one of auto, max, mse"},
                          Case{"mxfp4", "four_over_six", "mxfp4 has no scale method four_over_six"},
                          Case{"mxfp8", "mse", "Choose one of auto, max"},
                          Case{"fp8", "mse", "fp8 has no scale method mse"},
                          Case{"int4", "lossless", "int4 has no scale method lossless"}}) {
    const Json rule = {{"role", "attention"}, {"format", bad.format}, {"scale", bad.scale}};
    EXPECT_THAT(ParseError(DocumentWith("/quantize/0", rule)),
                AllOf(HasSubstr("/quantize/0/scale:"), HasSubstr(bad.words)));
  }
}

TEST(SchemaViolations, AnotherVersionIsSaidBeforeItsFieldsAreJudged) {
  Json document = DocumentWith("/version", 2);
  document["brand_new_field"] = 1;
  EXPECT_THAT(ParseError(document), HasSubstr("/version:"));
}

TEST(SchemaViolations, TheTopLevelMustBeAnObject) {
  EXPECT_THAT(ParseError(Json::array()), HasSubstr("is a list, not an object"));
}

TEST(SchemaViolations, AFieldMayNotStandTwice) {
  std::string text = MinimalDocument().dump();
  text.insert(1, R"("output": "elsewhere", )");
  const std::string message =
      ErrorOf(ErrorCode::kBadRecipe, [&] { ParseRecipe(text, "twice.json"); });
  EXPECT_THAT(message, HasSubstr("the field \"output\" stands twice"));
}

TEST(SchemaViolations, DeepNestingIsRefused) {
  const std::string text = std::string(100, '[') + std::string(100, ']');
  const std::string message =
      ErrorOf(ErrorCode::kBadRecipe, [&] { ParseRecipe(text, "deep.json"); });
  EXPECT_THAT(message, HasSubstr("nest more than"));
}

TEST(SchemaViolations, BrokenJsonIsSaidWithItsLine) {
  const std::string message =
      ErrorOf(ErrorCode::kBadJson, [] { ParseRecipe("{\n  \"version\" 1\n}", "broken.json"); });
  EXPECT_THAT(message, AllOf(HasSubstr("broken.json"), HasSubstr("line 2")));
}

TEST(SchemaViolations, DirectoriesMustDiffer) {
  EXPECT_THAT(ParseError(DocumentWith("/output", "./in/")),
              HasSubstr("source and output are both /recipes/in"));
  EXPECT_THAT(ParseError(DocumentWith("/run_dir", "out")), HasSubstr("output and run_dir"));
}

}  // namespace
}  // namespace vernier::recipes

#include "base/json.h"

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"

namespace vernier {
namespace {

TEST(JsonTest, KeepsTheOrderOfKeys) {
  EXPECT_EQ(ParseJson(R"({"z":1,"a":2})", "t").dump(), R"({"z":1,"a":2})");
}

TEST(JsonTest, CommentsOnlyWhereAllowed) {
  constexpr std::string_view kText = "{// why\n\"a\": 1}";
  EXPECT_EQ(ParseJson(kText, "t", JsonComments::kAllow).at("a"), 1);
  EXPECT_VERNIER_ERROR(ParseJson(kText, "t"), ErrorCode::kBadJson, "t");
}

TEST(JsonTest, SyntaxErrorTellsOriginAndLine) {
  EXPECT_VERNIER_ERROR(ParseJson("{\n\"a\": }", "config.json"), ErrorCode::kBadJson,
                       "config.json: parse error at line 2");
}

TEST(JsonTest, RefusesValuesThatWouldExhaustTheStack) {
  const auto nested = [](size_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };
  EXPECT_EQ(ParseJson(nested(256), "t").dump(), nested(256));
  EXPECT_VERNIER_ERROR(ParseJson(nested(257), "t"), ErrorCode::kBadJson, "more than 256 deep");
  EXPECT_VERNIER_ERROR(ParseJson(nested(1'000'000), "t"), ErrorCode::kBadJson, "256 deep");
}

TEST(JsonTest, FieldsAreTypedAndNamedInErrors) {
  const Json object = ParseJson(R"({"n": 3, "s": "x", "nothing": null})", "t");
  EXPECT_EQ(GetField<int>(object, "n", "t"), 3);
  EXPECT_EQ(GetFieldOr<int>(object, "absent", "t", 7), 7);
  EXPECT_EQ(GetFieldOr<int>(object, "nothing", "t", 7), 7);
  EXPECT_VERNIER_ERROR(GetField<int>(object, "absent", "t"), ErrorCode::kBadJson, "\"absent\"");
  EXPECT_VERNIER_ERROR(GetField<int>(object, "s", "t"), ErrorCode::kBadJson, "wrong type");
}

}  // namespace
}  // namespace vernier

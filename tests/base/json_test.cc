#include "base/json.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json_entries.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

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

TEST(JsonEntriesTest, VisitsEntriesOfArraysInTheirOrder) {
  const testing::TempDir dir;
  const std::filesystem::path path = dir.path() / "long.json";
  WriteFileAtomically(path, R"({"n": 1, "a": [{"x": [1, 2]}, 3], "tool": {"v": [4]}, "b": [[5]]})");
  std::string visited;
  ForEachArrayEntry(path, [&](std::string_view field, const Json& entry) {
    visited += std::string(field) + "=" + entry.dump() + ";";
  });
  EXPECT_EQ(visited, R"(a={"x":[1,2]};a=3;b=[5];)");
}

TEST(JsonEntriesTest, RefusesWhatParseJsonRefuses) {
  const testing::TempDir dir;
  const std::filesystem::path path = dir.path() / "long.json";
  const auto read = [&](const std::string& text) {
    WriteFileAtomically(path, text);
    ForEachArrayEntry(path, [](std::string_view, const Json&) {});
  };
  EXPECT_VERNIER_ERROR(read("{\n\"a\": [1,]}"), ErrorCode::kBadJson, "parse error at line 2");
  EXPECT_VERNIER_ERROR(read("[1]"), ErrorCode::kBadJson, "no JSON object");
  EXPECT_VERNIER_ERROR(read("{\"a\": " + std::string(1000, '[')), ErrorCode::kBadJson, "256 deep");
  EXPECT_VERNIER_ERROR(ForEachArrayEntry(dir.path() / "absent", {}), ErrorCode::kFileOpen,
                       "absent");
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

#include "checkpoint/shard_index.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/expect_error.h"

namespace vernier::checkpoint {
namespace {

using ::testing::ElementsAre;

TEST(ShardIndex, MapsTensorsToSortedFiles) {
  const ShardIndex index = ParseShardIndex(
      R"({"metadata":{"total_size":12,"nested":{"a":[1,{"b":null}]}},
          "weight_map":{"x":"b.safetensors","y":"a.safetensors","z":"b.safetensors"},
          "later":[true,-1,1.5,"s"]})",
      "index");
  EXPECT_THAT(index.files, ElementsAre("a.safetensors", "b.safetensors"));
  EXPECT_EQ(index.file_of_tensor.at("x"), 1u);
  EXPECT_EQ(index.file_of_tensor.at("y"), 0u);
  EXPECT_EQ(index.file_of_tensor.at("z"), 1u);
  EXPECT_EQ(index.total_size, 12u);
}

TEST(ShardIndex, TotalSizeMayBeAFloatOrAbsent) {
  EXPECT_EQ(ParseShardIndex(R"({"metadata":{"total_size":1.2e3},"weight_map":{}})", "i").total_size,
            1200u);
  EXPECT_FALSE(ParseShardIndex(R"({"weight_map":{}})", "i").total_size.has_value());
  EXPECT_FALSE(ParseShardIndex(R"({"metadata":{"a":{"total_size":3}},"weight_map":{}})", "i")
                   .total_size.has_value());
}

struct BadIndex {
  const char* name;
  std::string json;
  const char* message_part;
};

class BadShardIndex : public ::testing::TestWithParam<BadIndex> {};

TEST_P(BadShardIndex, IsRefused) {
  EXPECT_VERNIER_ERROR(ParseShardIndex(GetParam().json, "the-index.json"), ErrorCode::kBadIndex,
                       "the-index.json");
  EXPECT_VERNIER_ERROR(ParseShardIndex(GetParam().json, "the-index.json"), ErrorCode::kBadIndex,
                       GetParam().message_part);
}

const BadIndex kBadIndices[] = {
    {"Empty", "", "JSON"},
    {"Array", "[]", "array"},
    {"Number", "3", "number"},
    {"CutOff", R"({"weight_map":{"x":)", "JSON"},
    {"NoMap", R"({"metadata":{}})", "weight_map"},
    {"MapIsNull", R"({"weight_map":null})", "null"},
    {"MapIsArray", R"({"weight_map":[]})", "weight_map"},
    {"TwoMaps", R"({"weight_map":{},"weight_map":{}})", "two"},
    {"FileIsNumber", R"({"weight_map":{"x":1}})", "\"x\""},
    {"FileIsObject", R"({"weight_map":{"x":{}}})", "\"x\""},
    {"TensorTwice", R"({"weight_map":{"x":"a","x":"b"}})", "twice"},
    {"ParentDirectory", R"({"weight_map":{"x":"../a.safetensors"}})", "plain"},
    {"AbsolutePath", R"({"weight_map":{"x":"/etc/passwd"}})", "plain"},
    {"Subdirectory", R"({"weight_map":{"x":"a/b.safetensors"}})", "plain"},
    {"Backslash", R"({"weight_map":{"x":"..\\a"}})", "plain"},
    {"Dots", R"({"weight_map":{"x":".."}})", "plain"},
    {"EmptyFile", R"({"weight_map":{"x":""}})", "plain"},
    {"NulInFile", R"({"weight_map":{"x":"a\u0000b"}})", "plain"},
    {"NestingBomb", "{\"metadata\":" + std::string(100'000, '['), "nested"},
    {"ObjectBomb",
     "{\"a\":" +
         [] {
           std::string text;
           for (int i = 0; i < 1000; ++i) text += "{\"a\":";
           return text;
         }(),
     "nested"},
};

INSTANTIATE_TEST_SUITE_P(All, BadShardIndex, ::testing::ValuesIn(kBadIndices),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace vernier::checkpoint

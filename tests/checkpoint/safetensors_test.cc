#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "tests/support/expect_error.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::testing::ElementsAre;

constexpr uint64_t kPrefix = 8;

// A header in a file with `data_bytes` bytes of tensor data.
SafetensorsHeader Parse(const std::string& json, uint64_t data_bytes) {
  return ParseSafetensorsHeader(json, kPrefix + json.size() + data_bytes, "test.safetensors");
}

std::string Entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

TEST(SafetensorsHeader, TensorsComeInFileOrderWithAbsoluteRanges) {
  const std::string json = "{" + Entry("b", "BF16", "[2,3]", "[4,16]") + "," +
                           "\"__metadata__\":{\"format\":\"pt\"}," +
                           Entry("a", "F32", "[]", "[0,4]") + "}  ";
  const SafetensorsHeader header = Parse(json, 16);
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_EQ(header.tensors[0].Elements(), 1);
  EXPECT_EQ(header.tensors[1].name, "b");
  EXPECT_EQ(header.tensors[1].begin, kPrefix + json.size() + 4);
  EXPECT_EQ(header.tensors[1].end, kPrefix + json.size() + 16);
  EXPECT_THAT(header.tensors[1].shape, ElementsAre(2, 3));
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

TEST(SafetensorsHeader, F4HasHalfAByteAnElement) {
  EXPECT_EQ(Parse("{" + Entry("x", "F4", "[3,4]", "[0,6]") + "}", 6).tensors[0].Bytes(), 6u);
}

TEST(SafetensorsHeader, UnknownDtypeKeepsItsNameAndBytes) {
  const auto header = Parse("{" + Entry("x", "F6_E3M2", "[4]", "[0,3]") + "}", 3);
  EXPECT_EQ(header.tensors[0].dtype, DType::kOpaque);
  EXPECT_EQ(header.tensors[0].dtype_name, "F6_E3M2");
  EXPECT_EQ(header.tensors[0].Bytes(), 3u);
}

TEST(SafetensorsHeader, EmptyTensorsAndEmptyFilesAreLegal) {
  EXPECT_TRUE(Parse("{}", 0).tensors.empty());
  const auto header =
      Parse("{" + Entry("e", "F32", "[0,7]", "[4,4]") + "," + Entry("x", "F32", "[1]", "[0,4]") +
                "," + Entry("f", "F32", "[0]", "[0,0]") + "}",
            4);
  EXPECT_EQ(header.tensors.size(), 3u);
}

struct Attack {
  const char* name;
  std::string json;
  uint64_t data_bytes;
  ErrorCode code;
  const char* message_part;
};

class HeaderAttack : public ::testing::TestWithParam<Attack> {};

TEST_P(HeaderAttack, IsRefused) {
  const Attack& attack = GetParam();
  EXPECT_VERNIER_ERROR(Parse(attack.json, attack.data_bytes), attack.code, attack.message_part);
}

const std::string kGood = Entry("x", "F32", "[2]", "[0,8]");

const Attack kAttacks[] = {
    {"Empty", "", 0, ErrorCode::kBadHeader, "'{'"},
    {"NotAnObject", "[]", 0, ErrorCode::kBadHeader, "'{'"},
    {"LeadingSpace", " {}", 0, ErrorCode::kBadHeader, "'{'"},
    {"CutOff", "{\"x\":{\"dtype\":", 0, ErrorCode::kBadHeader, "JSON"},
    {"TrailingText", "{}x", 0, ErrorCode::kBadHeader, "JSON"},
    {"NulPadding", std::string("{}\0\0", 4), 0, ErrorCode::kBadHeader, "JSON"},
    {"NotUtf8", "{\"\xff\":{}}", 0, ErrorCode::kBadHeader, "JSON"},
    {"TensorIsNumber", "{\"x\":3}", 0, ErrorCode::kBadHeader, "\"x\""},
    {"TensorIsNull", "{\"x\":null}", 0, ErrorCode::kBadHeader, "null"},
    {"NoDtype", R"({"x":{"shape":[2],"data_offsets":[0,8]}})", 8, ErrorCode::kBadHeader, "lacks"},
    {"NoShape", R"({"x":{"dtype":"F32","data_offsets":[0,8]}})", 8, ErrorCode::kBadHeader, "lacks"},
    {"NoOffsets", R"({"x":{"dtype":"F32","shape":[2]}})", 8, ErrorCode::kBadHeader, "lacks"},
    {"UnknownField", R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"stride":[1]}})", 8,
     ErrorCode::kBadHeader, "array"},
    {"DtypeIsNumber", R"({"x":{"dtype":7,"shape":[2],"data_offsets":[0,8]}})", 8,
     ErrorCode::kBadHeader, "7"},
    {"DtypeTwice", R"({"x":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}})", 8,
     ErrorCode::kBadHeader, "twice"},
    {"ShapeTwice", R"({"x":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}})", 8,
     ErrorCode::kBadHeader, "twice"},
    {"NegativeExtent", "{" + Entry("x", "F32", "[-2]", "[0,8]") + "}", 8, ErrorCode::kBadHeader,
     "-2"},
    {"FractionalExtent", "{" + Entry("x", "F32", "[2.0]", "[0,8]") + "}", 8, ErrorCode::kBadHeader,
     "2.0"},
    {"TextExtent", "{" + Entry("x", "F32", "[\"2\"]", "[0,8]") + "}", 8, ErrorCode::kBadHeader,
     "text"},
    {"HugeExtent", "{" + Entry("x", "F32", "[18446744073709551615]", "[0,8]") + "}", 8,
     ErrorCode::kBadHeader, "extent"},
    {"BeyondIntegers", "{" + Entry("x", "F32", "[99999999999999999999]", "[0,8]") + "}", 8,
     ErrorCode::kBadHeader, "9999"},
    {"ElementsOverflow", "{" + Entry("x", "U8", "[4294967296,4294967296]", "[0,0]") + "}", 0,
     ErrorCode::kBadHeader, "impossible"},
    {"BytesOverflow", "{" + Entry("x", "F64", "[4611686018427387904]", "[0,0]") + "}", 0,
     ErrorCode::kBadHeader, "impossible"},
    {"OpaqueElementsOverflow", "{" + Entry("x", "F6", "[4294967296,4294967296]", "[0,0]") + "}", 0,
     ErrorCode::kBadHeader, "too many"},
    {"OddF4", "{" + Entry("x", "F4", "[3]", "[0,2]") + "}", 2, ErrorCode::kBadHeader, "impossible"},
    {"NestedShape", "{" + Entry("x", "F32", "[[2]]", "[0,8]") + "}", 8, ErrorCode::kBadHeader,
     "array"},
    {"NestingBomb", "{\"x\":" + std::string(100'000, '['), 0, ErrorCode::kBadHeader, "array"},
    {"ObjectBomb", "{\"x\":{\"dtype\":" + std::string(100'000, '{'), 0, ErrorCode::kBadHeader, ""},
    {"RankBomb",
     "{" +
         Entry(
             "x", "F32",
             "[1" +
                 [] {
                   std::string ones;
                   for (int i = 0; i < 1000; ++i) ones += ",1";
                   return ones;
                 }() +
                 "]",
             "[0,4]") +
         "}",
     4, ErrorCode::kBadHeader, "dimensions"},
    {"OneOffset", "{" + Entry("x", "F32", "[2]", "[0]") + "}", 8, ErrorCode::kBadHeader,
     "data_offsets"},
    {"ThreeOffsets", "{" + Entry("x", "F32", "[2]", "[0,8,8]") + "}", 8, ErrorCode::kBadHeader,
     "data_offsets"},
    {"ReversedOffsets", "{" + Entry("x", "F32", "[2]", "[8,0]") + "}", 8, ErrorCode::kBadHeader,
     "before"},
    {"TooFewBytes", "{" + Entry("x", "F32", "[2]", "[0,4]") + "}", 4, ErrorCode::kBadHeader,
     "need 8"},
    {"TooManyBytes", "{" + Entry("x", "F32", "[2]", "[0,12]") + "}", 12, ErrorCode::kBadHeader,
     "need 8"},
    {"Overlap", "{" + kGood + "," + Entry("y", "F32", "[2]", "[4,12]") + "}", 12,
     ErrorCode::kBadHeader, "overlaps"},
    {"SameRange", "{" + kGood + "," + Entry("y", "F32", "[2]", "[0,8]") + "}", 8,
     ErrorCode::kBadHeader, "overlaps"},
    {"EmptyInsideAnother", "{" + kGood + "," + Entry("y", "F32", "[0]", "[4,4]") + "}", 8,
     ErrorCode::kBadHeader, "overlaps"},
    {"HoleAtTheStart", "{" + Entry("x", "F32", "[2]", "[4,12]") + "}", 12, ErrorCode::kBadHeader,
     "hole"},
    {"HoleBetween", "{" + kGood + "," + Entry("y", "F32", "[2]", "[12,20]") + "}", 20,
     ErrorCode::kBadHeader, "hole"},
    {"DuplicateName", "{" + kGood + "," + Entry("x", "F32", "[2]", "[8,16]") + "}", 16,
     ErrorCode::kBadHeader, "twice"},
    {"DataShort", "{" + kGood + "}", 7, ErrorCode::kTruncated, "test.safetensors"},
    {"DataLong", "{" + kGood + "}", 9, ErrorCode::kTruncated, "test.safetensors"},
    {"DataAbsent", "{" + kGood + "}", 0, ErrorCode::kTruncated, "instead of"},
    {"OffsetsNearTheEndOfIntegers", "{" + Entry("x", "Q", "[1]", "[0,18446744073709551615]") + "}",
     8, ErrorCode::kBadHeader, "overflows"},
    {"MetadataIsText", R"({"__metadata__":"pt"})", 0, ErrorCode::kBadHeader, "pt"},
    {"MetadataHoldsNumber", R"({"__metadata__":{"a":1}})", 0, ErrorCode::kBadHeader, "metadata"},
    {"MetadataHoldsObject", R"({"__metadata__":{"a":{}}})", 0, ErrorCode::kBadHeader, "metadata"},
    {"MetadataKeyTwice", R"({"__metadata__":{"a":"1","a":"2"}})", 0, ErrorCode::kBadHeader,
     "twice"},
    {"MetadataTwice", R"({"__metadata__":{},"__metadata__":{}})", 0, ErrorCode::kBadHeader,
     "twice"},
};

INSTANTIATE_TEST_SUITE_P(All, HeaderAttack, ::testing::ValuesIn(kAttacks),
                         [](const auto& info) { return std::string(info.param.name); });

// Files whose length prefix lies.
class SafetensorsFile : public ::testing::Test {
 protected:
  File Write(uint64_t header_bytes, const std::string& rest) {
    std::string content(kPrefix, '\0');
    std::memcpy(content.data(), &header_bytes, kPrefix);
    return WriteRaw(content + rest);
  }
  File WriteRaw(const std::string& content) {
    const auto path = directory_.path() / "x.safetensors";
    WriteFileAtomically(path, content);
    return File::OpenForRead(path);
  }

 private:
  ::vernier::testing::TempDir directory_;
};

TEST_F(SafetensorsFile, ShorterThanAPrefix) {
  EXPECT_VERNIER_ERROR(ReadSafetensorsHeader(WriteRaw("1234567")), ErrorCode::kTruncated,
                       "x.safetensors");
}

TEST_F(SafetensorsFile, HeaderBeyondTheFile) {
  EXPECT_VERNIER_ERROR(ReadSafetensorsHeader(Write(100, "{}")), ErrorCode::kTruncated, "108");
}

TEST_F(SafetensorsFile, HeaderBeyondTheLimit) {
  EXPECT_VERNIER_ERROR(ReadSafetensorsHeader(Write(kMaxHeaderBytes + 1, "{}")),
                       ErrorCode::kBadHeader, "limit");
  EXPECT_VERNIER_ERROR(ReadSafetensorsHeader(Write(~uint64_t{0}, "{}")), ErrorCode::kBadHeader,
                       "limit");
}

TEST_F(SafetensorsFile, APointerOfGitLfsIsNamed) {
  EXPECT_VERNIER_ERROR(
      ReadSafetensorsHeader(WriteRaw("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")),
      ErrorCode::kBadHeader, "git lfs pull");
}

TEST_F(SafetensorsFile, TruncationNamesExpectedAndActualSize) {
  const std::string json = "{" + kGood + "}";
  const std::string expected = std::to_string(kPrefix + json.size() + 8);
  const std::string actual = std::to_string(kPrefix + json.size() + 3);
  const File file = Write(json.size(), json + "abc");
  EXPECT_VERNIER_ERROR(ReadSafetensorsHeader(file), ErrorCode::kTruncated, expected);
  EXPECT_VERNIER_ERROR(ReadSafetensorsHeader(file), ErrorCode::kTruncated, actual);
}

std::vector<TensorSpec> MixedSpecs() {
  return {{"z.scale", DType::kF8E8M0, {3}},
          {"b", DType::kBF16, {5}},
          {"a", DType::kBF16, {1}},
          {"q \"quoted\"", DType::kI64, {2}},
          {"o", DType::kOpaque, {7}, "F6_E3M2", 6},
          {"n", DType::kF4, {2, 3}},
          {"f", DType::kF32, {}}};
}

TEST(PlanSafetensors, IsReadBackAsPlanned) {
  const SafetensorsLayout layout = PlanSafetensors(MixedSpecs(), {{"format", "pt"}});
  uint64_t json_bytes = 0;
  std::memcpy(&json_bytes, layout.prefix.data(), kPrefix);
  ASSERT_EQ(json_bytes, layout.prefix.size() - kPrefix);
  EXPECT_EQ(layout.prefix.size() % 8, 0u);
  const auto header =
      ParseSafetensorsHeader(layout.prefix.substr(kPrefix), layout.file_bytes, "planned");
  EXPECT_EQ(header.metadata.at("format"), "pt");
  ASSERT_EQ(header.tensors.size(), layout.tensors.size());
  for (size_t i = 0; i < header.tensors.size(); ++i) {
    EXPECT_EQ(header.tensors[i].name, layout.tensors[i].name);
    EXPECT_EQ(header.tensors[i].dtype_name, layout.tensors[i].dtype_name);
    EXPECT_EQ(header.tensors[i].shape, layout.tensors[i].shape);
    EXPECT_EQ(header.tensors[i].begin, layout.tensors[i].begin);
    EXPECT_EQ(header.tensors[i].end, layout.tensors[i].end);
  }
}

TEST(PlanSafetensors, AlignsEveryTensorAndIgnoresTheOrderOfItsInput) {
  std::vector<TensorSpec> reversed = MixedSpecs();
  std::reverse(reversed.begin(), reversed.end());
  const SafetensorsLayout layout = PlanSafetensors(MixedSpecs(), {});
  EXPECT_EQ(layout.prefix, PlanSafetensors(reversed, {}).prefix);
  std::vector<std::string> names;
  for (const TensorInfo& tensor : layout.tensors) {
    const auto element_bytes = static_cast<uint64_t>(DTypeBits(tensor.dtype) + 7) / 8;
    if (element_bytes > 0) {
      EXPECT_EQ(tensor.begin % element_bytes, 0u) << tensor.name;
    }
    names.push_back(tensor.name);
  }
  EXPECT_THAT(names, ElementsAre("q \"quoted\"", "f", "a", "b", "z.scale", "n", "o"));
}

TEST(PlanSafetensors, RefusesDuplicatesAndImpossibleShapes) {
  EXPECT_VERNIER_ERROR(PlanSafetensors({{"x", DType::kU8, {1}}, {"x", DType::kF32, {1}}}, {}),
                       ErrorCode::kBadHeader, "x");
  EXPECT_VERNIER_ERROR(PlanSafetensors({{"odd", DType::kF4, {3}}}, {}), ErrorCode::kBadHeader,
                       "odd");
  EXPECT_VERNIER_ERROR(PlanSafetensors({{"big", DType::kF64, {int64_t{1} << 62}}}, {}),
                       ErrorCode::kBadHeader, "big");
}

TEST(DType, NamesAndBitsAgreeBothWays) {
  for (int i = 0; i < static_cast<int>(DType::kOpaque); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(DTypeFromName(DTypeName(dtype)), dtype);
    EXPECT_GT(DTypeBits(dtype), 0);
  }
  EXPECT_EQ(DTypeFromName("C64"), DType::kOpaque);
  EXPECT_EQ(DTypeFromName(""), DType::kOpaque);
  EXPECT_EQ(DTypeBits(DType::kOpaque), 0);
}

}  // namespace
}  // namespace vernier::checkpoint

// Values of statistics as bytes, merged and compared.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "calib/statistics/registry.h"
#include "tests/support/expect_error.h"
#include "tests/support/made_up_statistic.h"

namespace vernier::statistics {
namespace {

const Statistic kAmax = Describe<InputAmax>();
const Statistic kSums = Describe<testing::SquareSums>();

Value Of(int64_t tokens, const std::vector<float>& elements) {
  return {tokens, PayloadOf<float>(elements)};
}

std::vector<float> Merged(const Statistic& statistic, Value into, const Value& other) {
  Merge(statistic, into, other, "here");
  return ElementsOf<float>(into).elements;
}

TEST(Statistics, NamesAreUnique) {
  std::set<std::string_view> names;
  for (const Statistic& statistic : AllStatistics()) {
    EXPECT_TRUE(names.insert(statistic.name).second) << statistic.name;
    EXPECT_EQ(FindStatistic(AllStatistics(), statistic.name), &statistic);
  }
  EXPECT_EQ(FindStatistic(AllStatistics(), "none"), nullptr);
}

TEST(Statistics, BytesAreTokensAndThenThePayload) {
  const Bytes bytes = ToBytes(Of(258, {1.0F}));
  ASSERT_EQ(bytes.size(), 12u);
  EXPECT_EQ(bytes[0], std::byte{2});
  EXPECT_EQ(bytes[1], std::byte{1});
  EXPECT_EQ(bytes[10], std::byte{0x80});
  EXPECT_EQ(bytes[11], std::byte{0x3F});
  EXPECT_EQ(FromBytes(bytes), Of(258, {1.0F}));
}

TEST(Statistics, BytesOfAnotherShapeAreRefused) {
  for (const size_t size : {0, 7, 11, 13, 16}) {
    EXPECT_VERNIER_ERROR(Parse(kAmax, Bytes(size), "the store"), ErrorCode::kStoreCorrupt,
                         "the store: a value of " + std::to_string(size));
  }
  EXPECT_EQ(Parse(kAmax, ToBytes(Of(1, {2.0F})), ""), Of(1, {2.0F}));
  EXPECT_EQ(Parse(kAmax, ToBytes(Of(0, {})), ""), Of(0, {}));
}

TEST(Statistics, AMergeAddsTokensAndTakesWhatThereIs) {
  Value value = Of(3, {1.0F});
  Merge(kAmax, value, Of(4, {2.5F}), "");
  EXPECT_EQ(value, Of(7, {2.5F}));
  EXPECT_THAT(Merged(kAmax, Of(4, {2.5F}), Of(3, {1.0F})), ::testing::ElementsAre(2.5F));
  EXPECT_THAT(Merged(kSums, Of(0, {}), Of(3, {1, 2})), ::testing::ElementsAre(1, 2));
  EXPECT_THAT(Merged(kSums, Of(3, {1, 2}), Of(0, {})), ::testing::ElementsAre(1, 2));
  EXPECT_THAT(Merged(kSums, Of(3, {1, 2}), Of(1, {3, 4})), ::testing::ElementsAre(4, 6));
  EXPECT_VERNIER_ERROR(Merged(kSums, Of(3, {1, 2}), Of(1, {3})), ErrorCode::kStoreCorrupt,
                       "have 8 and 4 bytes");
}

TEST(Statistics, ChangeIsRelativeAndWholeWhereOneSideIsMissing) {
  EXPECT_EQ(Change(kAmax, Of(1, {4}), Of(1, {3})), 0.25);
  EXPECT_EQ(Change(kAmax, Of(1, {0}), Of(1, {0})), 0);
  EXPECT_EQ(Change(kAmax, kAmax.nothing(), Of(1, {3})), 1);
  EXPECT_EQ(Change(kSums, kSums.nothing(), Of(1, {3})), 1);
  EXPECT_EQ(Change(kSums, Of(0, {}), Of(0, {})), 0);
}

TEST(Statistics, AnUnknownNameOrVersionIsOfANewerProgram) {
  EXPECT_EQ(&RequireStatistic(AllStatistics(), "input_amax", 1, ""), AllStatistics().data());
  EXPECT_VERNIER_ERROR(RequireStatistic(AllStatistics(), "input_amax", 2, "run"),
                       ErrorCode::kStoreCorrupt, "run: it holds the statistic input_amax in v");
  EXPECT_VERNIER_ERROR(RequireStatistic(AllStatistics(), "hessian", 1, "run"),
                       ErrorCode::kStoreCorrupt, "Use the version of Vernier that calibrated it");
}

}  // namespace
}  // namespace vernier::statistics

#include "checkpoint/rescaling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace vernier::checkpoint {
namespace {

using ::testing::ElementsAre;

TEST(Rescaling, DividesRowsAndMultipliesColumns) {
  const Rescaling rescaling = {.row_divisors = {9, 2, 4}, .column_factors = {1, 10}};
  std::vector<float> values = {2, 4, 8, 16};
  rescaling.Apply(/*row_begin=*/1, /*columns=*/2, values);
  EXPECT_THAT(values, ElementsAre(1, 20, 2, 40));
}

TEST(Rescaling, DividesWhatIsAddedToStoredRows) {
  const Rescaling rescaling = {.row_divisors = {2, 4}, .added = 1};
  std::vector<float> values = {3, -0.5F};
  rescaling.Apply(/*row_begin=*/0, /*columns=*/1, values);
  EXPECT_THAT(values, ElementsAre(1, -0.875F));
}

// Two query heads of 2 channels a head of values.
TEST(Rescaling, QueryHeadsShareTheFactorsOfTheirValues) {
  const Fold fold = {.channels = 4, .head_dim = 2, .repeats = 2};
  EXPECT_THAT(ColumnFactors(fold, std::vector<float>{1, 2, 3, 4}),
              ElementsAre(1, 2, 1, 2, 3, 4, 3, 4));
}

}  // namespace
}  // namespace vernier::checkpoint

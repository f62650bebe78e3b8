#include "recipes/layer_set.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "recipes/recipe_values.h"
#include "tests/support/expect_error.h"

namespace vernier::recipes {
namespace {

const ValueSource kSource = {ErrorCode::kBadRecipe, "here"};

std::vector<int> Members(const char* text, int layers) {
  const LayerSet set = LayerSet::Parse(ParseJson(text, "layers"), kSource);
  std::vector<int> members;
  for (int layer = -1; layer < layers; ++layer) {
    if (set.Contains(layer, layers)) members.push_back(layer);
  }
  return members;
}

TEST(LayerSet, HasNumbersRangesAndThoseFromTheEnd) {
  EXPECT_EQ(Members("[2, 5]", 8), (std::vector<int>{2, 5}));
  EXPECT_EQ(Members("[[0, 3], -1]", 8), (std::vector<int>{0, 1, 2, 3, 7}));
  EXPECT_EQ(Members("[[4, -2]]", 8), (std::vector<int>{4, 5, 6}));
  EXPECT_EQ(Members("[[-2, -1]]", 8), (std::vector<int>{6, 7}));
}

TEST(LayerSet, LeavesOutWhatAModelLacks) {
  EXPECT_EQ(Members("[[2, 9], -9]", 4), (std::vector<int>{2, 3}));
  EXPECT_EQ(Members("[[3, -3]]", 4), std::vector<int>());
}

TEST(LayerSet, SaysWhatItHas) {
  EXPECT_EQ(LayerSet::Parse(ParseJson("[[0, 3], -1]", "layers"), kSource).Text(), "0 to 3, -1");
}

TEST(LayerSet, RefusesARangeThatEndsBeforeItBegins) {
  for (const std::string text : {"[[3, 0]]", "[[-1, -2]]"}) {
    vernier::testing::ErrorOf(ErrorCode::kBadRecipe, [&] { Members(text.c_str(), 8); });
  }
}

}  // namespace
}  // namespace vernier::recipes

#include "run/fold_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "run/partial_layer.h"
#include "run/store.h"
#include "tests/support/temp_dir.h"

namespace vernier::run {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FoldRecordTest : public ::testing::Test {
 protected:
  static FoldRecord Make(const std::string& name, std::vector<float> scales) {
    return {.name = name,
            .exponent = scales.empty() ? 0 : 0.45,
            .tokens = 300,
            .error = 0.25,
            .other_error = 0.5,
            .scales = std::move(scales)};
  }
  static LayerResult Layer(int layer, std::vector<FoldRecord> folds) {
    LayerResult result;
    result.layer = layer;
    result.activations = {.file_name = "hidden.bin", .bytes = 1, .hash = "0"};
    result.folds = std::move(folds);
    return result;
  }

  testing::TempDir dir_;
  Store store_ = Store::Open(dir_.path());
};

TEST_F(FoldRecordTest, ComesBackAsItWas) {
  store_.CommitLayer(Layer(0, {Make("b", {0.5F, 2.25F}), Make("a", {})}));
  const std::vector<FoldRecord> folds = ListFolds(store_.database());
  ASSERT_THAT(folds, SizeIs(2));
  EXPECT_EQ(folds[0].name, "a");
  EXPECT_THAT(folds[0].scales, IsEmpty());
  EXPECT_EQ(folds[1].name, "b");
  EXPECT_EQ(folds[1].exponent, 0.45);
  EXPECT_EQ(folds[1].tokens, 300);
  EXPECT_EQ(folds[1].error, 0.25);
  EXPECT_EQ(folds[1].other_error, 0.5);
  EXPECT_THAT(folds[1].scales, ElementsAre(0.5F, 2.25F));
}

// Those of a save stay when the layer is saved again or committed, and go when it begins anew.
TEST_F(FoldRecordTest, SavesOfALayerAddUp) {
  PartialLayer place;
  place.stage = "experts";
  SavePartialLayer(store_, place, {}, {.solved = {}, .folds = {Make("a", {1.5F})}});
  SavePartialLayer(store_, place, {}, {.solved = {}, .folds = {Make("b", {1.5F})}});
  EXPECT_THAT(FoldsOfUnit(store_.database(), 0), SizeIs(2));
  EXPECT_THAT(ListFolds(store_.database()), IsEmpty()) << "the layer is not finished";
  DiscardPartialLayer(store_);
  EXPECT_THAT(FoldsOfUnit(store_.database(), 0), IsEmpty());
  SavePartialLayer(store_, place, {}, {.solved = {}, .folds = {Make("a", {1.5F})}});
  store_.CommitLayer(Layer(0, {Make("c", {})}));
  EXPECT_THAT(ListFolds(store_.database()), SizeIs(2));
}

}  // namespace
}  // namespace vernier::run

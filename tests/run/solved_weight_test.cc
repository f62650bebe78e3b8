#include "run/solved_weight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "run/partial_layer.h"
#include "run/run_files.h"
#include "run/store.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::run {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class SolvedWeightTest : public ::testing::Test {
 protected:
  static SolvedWeight Make(const std::string& module, size_t bytes, uint8_t value = 7) {
    return {.module = module,
            .method = bytes > 0 ? "gptq" : "few_tokens",
            .global_scale = 0.1F,
            .tokens = 300,
            .error = 0.25,
            .other_error = 0.5,
            .bytes = std::vector<std::byte>(bytes, std::byte{value})};
  }
  static LayerResult Layer(int layer, std::vector<SolvedWeight> solved) {
    LayerResult result;
    result.layer = layer;
    result.activations = {.file_name = "hidden.bin", .bytes = 1, .hash = "0"};
    result.solved = std::move(solved);
    return result;
  }

  static PartialLayer AtExpert(int layer) {
    PartialLayer place;
    place.layer = layer;
    place.stage = "experts";
    return place;
  }

  testing::TempDir dir_;
  Store store_ = Store::Open(dir_.path());
};

TEST_F(SolvedWeightTest, ComesBackAsItWas) {
  store_.CommitLayer(Layer(0, {Make("b", 10, 1), Make("a", 5000, 2), Make("few", 0)}));
  const std::vector<SolvedWeight> weights = ListSolvedWeights(store_.database());
  ASSERT_THAT(weights, SizeIs(3));
  EXPECT_EQ(weights[0].module, "a");
  EXPECT_EQ(weights[0].global_scale, 0.1F);
  EXPECT_EQ(weights[0].tokens, 300);
  EXPECT_EQ(weights[0].error, 0.25);
  EXPECT_EQ(weights[0].other_error, 0.5);
  EXPECT_EQ(ReadSolvedWeight(dir_.path(), weights[0]), std::vector<std::byte>(5000, std::byte{2}));
  EXPECT_EQ(ReadSolvedWeight(dir_.path(), weights[1]), std::vector<std::byte>(10, std::byte{1}));
  EXPECT_EQ(weights[2].method, "few_tokens");
  EXPECT_THAT(ReadSolvedWeight(dir_.path(), weights[2]), IsEmpty());
}

// Each save adds to those before; a layer that begins anew has none of them.
TEST_F(SolvedWeightTest, OfAnUnfinishedLayerStayUntilItBeginsAnew) {
  const PartialLayer place = AtExpert(0);
  SavePartialLayer(store_, place, {}, {.solved = {Make("a", 100)}, .folds = {}});
  SavePartialLayer(store_, place, {}, {.solved = {Make("b", 100)}, .folds = {}});
  EXPECT_THAT(SolvedWeightsOfUnit(store_.database(), 0), SizeIs(2));
  EXPECT_THAT(ListSolvedWeights(store_.database()), IsEmpty()) << "it is not finished";
  RemoveStaleFiles(dir_.path(), NeededFiles(store_));
  store_.CommitLayer(Layer(0, {Make("c", 100)}));
  const std::vector<SolvedWeight> weights = ListSolvedWeights(store_.database());
  ASSERT_THAT(weights, SizeIs(3));
  for (const SolvedWeight& weight : weights)
    EXPECT_THAT(ReadSolvedWeight(dir_.path(), weight), SizeIs(100));

  SavePartialLayer(store_, AtExpert(1), {}, {.solved = {Make("d", 100)}, .folds = {}});
  DiscardPartialLayer(store_);
  EXPECT_THAT(SolvedWeightsOfUnit(store_.database(), 1), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "solved-0001-0.values"));
  EXPECT_THAT(ListSolvedWeights(store_.database()), SizeIs(3));
}

TEST(ValueFileTest, TheNameTellsTheUnit) {
  EXPECT_EQ(UnitOfValueFile("run/solved-0007-3.values"), 7);
  EXPECT_EQ(UnitOfValueFile("input_amax-12345-0.values"), 12345);
  for (const char* name : {"hidden-0007.bin", "solved.values", "solved-x-0.values", "-1.values"}) {
    EXPECT_EQ(UnitOfValueFile(name), std::nullopt) << name;
  }
}

TEST_F(SolvedWeightTest, BytesMayBeWrittenBeforeTheirRows) {
  std::vector<SolvedWeight> weights = {Make("a", 5000, 2), Make("few", 0), Make("b", 10, 1)};
  WriteSolvedWeights(dir_.path(), 0, weights);
  for (const SolvedWeight& weight : weights) EXPECT_THAT(weight.bytes, IsEmpty());
  weights.push_back(Make("c", 20, 3));  // in memory still
  store_.CommitLayer(Layer(0, weights));
  RemoveStaleFiles(dir_.path(), NeededFiles(store_));
  const std::vector<SolvedWeight> read = ListSolvedWeights(store_.database());
  ASSERT_THAT(read, SizeIs(4));
  EXPECT_EQ(ReadSolvedWeight(dir_.path(), read[0]), std::vector<std::byte>(5000, std::byte{2}));
  EXPECT_EQ(ReadSolvedWeight(dir_.path(), read[1]), std::vector<std::byte>(10, std::byte{1}));
  EXPECT_EQ(ReadSolvedWeight(dir_.path(), read[2]), std::vector<std::byte>(20, std::byte{3}));
  EXPECT_FALSE(read[3].HasBytes());
}

TEST_F(SolvedWeightTest, DamageAndLossAreNoticed) {
  store_.CommitLayer(Layer(0, {Make("a", 5000)}));
  const SolvedWeight weight = ListSolvedWeights(store_.database()).at(0);
  const std::filesystem::path path = dir_.path() / weight.place.file;
  const std::byte changed[] = {std::byte{8}};
  File::OpenForWrite(path, /*truncate=*/false).WriteAt(weight.place.offset + 4999, changed);
  EXPECT_VERNIER_ERROR(ReadSolvedWeight(dir_.path(), weight), ErrorCode::kStoreCorrupt,
                       "the weight a that was solved");
  std::filesystem::resize_file(path, weight.place.offset + 4999);
  EXPECT_VERNIER_ERROR(ReadSolvedWeight(dir_.path(), weight), ErrorCode::kStoreCorrupt, "shorter");
  std::filesystem::remove(path);
  EXPECT_VERNIER_ERROR(ReadSolvedWeight(dir_.path(), weight), ErrorCode::kStoreCorrupt,
                       "are not there");
}

}  // namespace
}  // namespace vernier::run

// Statistics compared and merged.
#include "run/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "run/amax_file.h"
#include "run/sqlite.h"
#include "run/statistic_diff.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::run {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::vernier::testing::TempDir;

RunIdentity IdentityOf(const std::string& seed) {
  return {{"source", "s"},        {"observed_modules", "o"},
          {"numerics", "1"},      {"calibration.seed", seed},
          {"tokens", "t" + seed}, {"calibration.dtype", "bfloat16"}};
}

class MergeTest : public ::testing::Test {
 protected:
  // A finished store of two layers whose one module each has these values.
  fs::path MakeStore(const std::string& name, float amax0, float amax1, int64_t tokens,
                     const RunIdentity& identity, bool finished = true) {
    Store store = Store::Open(dir_.path() / name);
    store.RequireIdentity(identity);
    store.CommitLayer({.layer = 0,
                       .seconds = 1,
                       .statistics = AmaxRows({{"m0", 0, amax0, tokens}}),
                       .activations = {}});
    store.CommitLayer({.layer = 1,
                       .seconds = 2,
                       .statistics = AmaxRows({{"m1", 1, amax1, 0}}),
                       .activations = {}});
    if (finished) store.FinishCalibration();
    return dir_.path() / name;
  }

  fs::path Into(const std::string& name) const { return dir_.path() / name; }

  // Identity and statistics as text.
  static std::string Content(const Store& store) { return AmaxJson(store).dump(); }

  TempDir dir_;
};

TEST_F(MergeTest, TakesTheLargestAmaxAndAllTokens) {
  const fs::path a = MakeStore("a", 3, 0.25f, 10, IdentityOf("1"));
  const fs::path b = MakeStore("b", 2, 0.5f, 5, IdentityOf("2"));
  const Store merged = MergeStores({a, b}, Into("ab"));
  EXPECT_TRUE(merged.CalibrationFinished());
  EXPECT_EQ(merged.TotalLayers(), 2);
  const std::vector<InputAmax> inputs = merged.Inputs();
  ASSERT_EQ(inputs.size(), 2u);
  EXPECT_EQ(inputs[0].amax, 3);
  EXPECT_EQ(inputs[0].tokens, 15);
  EXPECT_EQ(inputs[1].amax, 0.5f);
  EXPECT_EQ(inputs[1].tokens, 0);
}

TEST_F(MergeTest, ItsIdentityHasWhatAllAgreeOnAndListsTheRest) {
  const fs::path a = MakeStore("a", 3, 1, 10, IdentityOf("1"));
  const fs::path b = MakeStore("b", 2, 1, 5, IdentityOf("2"));
  const RunIdentity identity = MergeStores({a, b}, Into("ab")).Identity();
  EXPECT_EQ(identity.at("source"), "s");
  EXPECT_EQ(identity.at("calibration.seed"), R"(["1","2"])");
  EXPECT_EQ(ParseJson(identity.at("merged_from"), "").size(), 2u);
}

TEST_F(MergeTest, DoesNotDependOnTheOrderOrTheGrouping) {
  const fs::path a = MakeStore("a", 3, 1, 10, IdentityOf("1"));
  const fs::path b = MakeStore("b", 2, 4, 5, IdentityOf("2"));
  const fs::path c = MakeStore("c", 7, 1, 1, IdentityOf("3"));
  const std::string all = Content(MergeStores({a, b, c}, Into("abc")));
  EXPECT_EQ(Content(MergeStores({c, a, b}, Into("cab"))), all);
  MergeStores({a, b}, Into("ab"));
  EXPECT_EQ(Content(MergeStores({Into("ab"), c}, Into("ab-c"))), all);
}

TEST_F(MergeTest, TheSameMergeMayBeRepeatedAndNoOther) {
  const fs::path a = MakeStore("a", 3, 1, 10, IdentityOf("1"));
  const fs::path b = MakeStore("b", 2, 1, 5, IdentityOf("2"));
  const std::string once = Content(MergeStores({a, b}, Into("ab")));
  EXPECT_EQ(Content(MergeStores({b, a}, Into("ab"))), once);
  const fs::path c = MakeStore("c", 7, 1, 1, IdentityOf("3"));
  EXPECT_VERNIER_ERROR(MergeStores({a, c}, Into("ab")), ErrorCode::kBadArgument, "another run");
  EXPECT_VERNIER_ERROR(MergeStores({a, b}, a), ErrorCode::kBadArgument, "another run");
}

TEST_F(MergeTest, RefusesToCountTokensTwice) {
  const fs::path a = MakeStore("a", 3, 1, 10, IdentityOf("1"));
  const fs::path b = MakeStore("b", 2, 1, 5, IdentityOf("2"));
  EXPECT_VERNIER_ERROR(MergeStores({a, b, a}, Into("x")), ErrorCode::kBadArgument, "twice");
  MergeStores({a, b}, Into("ab"));
  EXPECT_VERNIER_ERROR(MergeStores({Into("ab"), a}, Into("x")), ErrorCode::kBadArgument, "twice");
}

TEST_F(MergeTest, RefusesStatisticsOfDifferentThings) {
  const fs::path a = MakeStore("a", 3, 1, 10, IdentityOf("1"));
  for (const char* field :
       {"source", "observed_modules", "weighted_modules", "numerics", "calibration.dtype"}) {
    RunIdentity other = IdentityOf("2");
    other[field] = "another";
    const fs::path b = MakeStore(std::string("b-") + field, 2, 1, 5, other);
    EXPECT_VERNIER_ERROR(MergeStores({a, b}, Into("x")), ErrorCode::kStoreIdentity,
                         std::string(field) + ": ");
  }
  EXPECT_FALSE(fs::exists(Into("x")));
}

TEST_F(MergeTest, RefusesUnfinishedAndAbsentStores) {
  const fs::path a = MakeStore("a", 3, 1, 10, IdentityOf("1"));
  const fs::path b = MakeStore("b", 2, 1, 5, IdentityOf("2"), /*finished=*/false);
  EXPECT_VERNIER_ERROR(MergeStores({a, b}, Into("x")), ErrorCode::kNotCalibrated, "not finished");
  EXPECT_VERNIER_ERROR(MergeStores({a, Into("no")}, Into("x")), ErrorCode::kNotCalibrated, "no");
}

TEST_F(MergeTest, KeepsWhatIsKnownOfTheSourceAndOfClampedValues) {
  const fs::path a = MakeStore("a", 3, 1, 10, IdentityOf("1"));
  const fs::path b = MakeStore("b", 2, 1, 5, IdentityOf("2"));
  for (const fs::path& run : {a, b}) {
    const Store store = Store::Open(run);
    store.database().Execute(
        "INSERT INTO source_tensor VALUES ('w', 'hash');"
        "INSERT INTO non_finite VALUES (0, 'm0', 4, 'nan', 2);"
        "INSERT INTO clamped_element VALUES ('w', 7, 'NaN', 3)");
  }
  {
    const Store merged = MergeStores({a, b}, Into("ab"));
    EXPECT_EQ(merged.database().QueryText("SELECT hash FROM source_tensor"), "hash");
    EXPECT_EQ(merged.database().QueryInteger("SELECT count FROM non_finite"), 4);
    EXPECT_EQ(merged.database().QueryInteger("SELECT count FROM clamped_element"), 3);
  }
  Store::Open(b).database().Execute("UPDATE source_tensor SET hash = 'changed'");
  EXPECT_VERNIER_ERROR(MergeStores({a, b}, Into("x")), ErrorCode::kSourceChanged, "of w than");
}

class DiffTest : public ::testing::Test {
 protected:
  // A store with these, by layer.
  Store MakeStore(const std::vector<std::vector<InputAmax>>& layers) {
    Store store = Store::Open(dir_.path() / std::to_string(stores_++));
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      store.CommitLayer({.layer = static_cast<int>(layer),
                         .seconds = 1,
                         .statistics = AmaxRows(layers[layer]),
                         .activations = {}});
    }
    return store;
  }

  TempDir dir_;
  int stores_ = 0;
};

TEST_F(DiffTest, ComparesModuleByModule) {
  const Store a = MakeStore({{{"x", 0, 1, 10}, {"y", 0, 2, 10}}, {{"z", 1, 3, 10}}});
  const Store b = MakeStore({{{"y", 0, 2, 8}, {"x", 0, 1, 10}}, {{"w", 1, 3, 10}}});
  const StatisticDiff diff = DiffStatistics(a, b, 0);
  EXPECT_EQ(diff.compared, 2);
  ASSERT_EQ(diff.differing.size(), 1u);
  EXPECT_EQ(diff.differing[0].of, (StatisticName{"y", "input_amax"}));
  EXPECT_EQ(diff.differing[0].change, 0);
  EXPECT_DOUBLE_EQ(diff.differing[0].tokens_change, 0.2);
  EXPECT_EQ(diff.differing[0].second_tokens, 8);
  EXPECT_EQ(diff.differing[0].first, "2");
  EXPECT_THAT(diff.only_in_first, ElementsAre(StatisticName{"z", "input_amax"}));
  EXPECT_THAT(diff.only_in_second, ElementsAre(StatisticName{"w", "input_amax"}));
  EXPECT_FALSE(diff.Equal());
}

TEST_F(DiffTest, ForgivesUpToTheTolerance) {
  const Store a = MakeStore({{{"x", 0, 1, 100}}}), b = MakeStore({{{"x", 0, 0.75f, 100}}});
  EXPECT_FALSE(DiffStatistics(a, b, 0.2).Equal());
  EXPECT_TRUE(DiffStatistics(a, b, 0.25).Equal());
  EXPECT_TRUE(DiffStatistics(a, a, 0).Equal());
  const Store none = MakeStore({{{"x", 0, 0, 0}}});
  EXPECT_EQ(DiffStatistics(a, none, 0).differing[0].change, 1);
  EXPECT_TRUE(DiffStatistics(none, none, 0).Equal());
}

TEST(AmaxFile, NumbersSurviveBothFormats) {
  const TempDir dir;
  const float amax = std::nextafter(0.1f, 1.0f);
  const int64_t tokens = (int64_t{1} << 40) + 1;
  Store store = Store::Open(dir.path());
  store.RequireIdentity({{"source", "s"}});
  store.CommitLayer({.layer = 0,
                     .seconds = 1,
                     .statistics = AmaxRows({{"m", 0, amax, tokens}}),
                     .activations = {}});

  const Json json = ParseJson(AmaxJson(store).dump(), "");
  EXPECT_EQ(json.at("format"), "vernier.amax");
  EXPECT_EQ(json.at("finished"), false);
  EXPECT_EQ(json.at("identity").at("source"), "s");
  EXPECT_EQ(json.at("inputs")[0].at("amax").get<float>(), amax);
  EXPECT_EQ(json.at("inputs")[0].at("tokens"), tokens);

  const fs::path path = dir.path() / "amax.safetensors";
  WriteAmaxSafetensors(store, path);
  const File file = File::OpenForRead(path);
  const checkpoint::SafetensorsHeader header = checkpoint::ReadSafetensorsHeader(file);
  EXPECT_EQ(header.metadata.at("identity.source"), "s");
  EXPECT_EQ(header.metadata.at("finished"), "false");
  ASSERT_EQ(header.tensors.size(), 2u);
  for (const checkpoint::TensorInfo& tensor : header.tensors) {
    EXPECT_THAT(tensor.shape, IsEmpty());
    if (tensor.name == "m.tokens") {
      int64_t value = 0;
      file.ReadAt(tensor.begin, std::as_writable_bytes(std::span(&value, 1)));
      EXPECT_EQ(value, tokens);
    } else {
      EXPECT_EQ(tensor.name, "m.input_amax");
      float value = 0;
      file.ReadAt(tensor.begin, std::as_writable_bytes(std::span(&value, 1)));
      EXPECT_EQ(value, amax);
    }
  }
}

}  // namespace
}  // namespace vernier::run

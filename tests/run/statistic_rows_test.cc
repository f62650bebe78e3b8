// A statistic that nobody foresaw, with values too large for their rows: stored, saved in the
// middle of a layer, merged, compared and dumped by what is there for all statistics.
#include "run/statistic_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "run/amax_file.h"
#include "run/merge.h"
#include "run/partial_layer.h"
#include "run/run_files.h"
#include "run/run_status.h"
#include "run/statistic_diff.h"
#include "tests/run/value_files.h"
#include "tests/support/expect_error.h"
#include "tests/support/made_up_statistic.h"
#include "tests/support/temp_dir.h"

namespace vernier::run {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::vernier::testing::SquareSums;
using ::vernier::testing::TempDir;
using ::vernier::testing::WithSquareSums;

constexpr size_t kLarge = kLargestInlineValue;  // elements, of four bytes each

StatisticRow Sums(const std::string& module, const std::vector<float>& sums, int64_t tokens) {
  const statistics::Value value{tokens, statistics::PayloadOf<float>(sums)};
  return {.unit = 0,
          .module = module,
          .name = std::string(SquareSums::kName),
          .version = SquareSums::kVersion,
          .bytes = statistics::ToBytes(value)};
}

std::vector<float> Read(const Store& store, const StatisticKey& key) {
  const StatisticValue read = ReadValue(store, key, WithSquareSums());
  return statistics::ElementsOf<float>(read.value).elements;
}

class StatisticRowsTest : public ::testing::Test {
 protected:
  // A finished store of one layer: amax and sums of one module, and a module that saw nothing.
  fs::path MakeStore(const std::string& name, float sum, int64_t tokens, size_t elements = kLarge) {
    const fs::path run_dir = dir_.path() / name;
    Store store = Store::Open(run_dir);
    store.RequireIdentity({{"source", "s"}, {"calibration.seed", name}});
    std::vector<StatisticRow> rows = AmaxRows({{"m", 0, sum, tokens}});
    rows.push_back(Sums("m", std::vector<float>(elements, sum), tokens));
    rows.push_back(Sums("unseen", {}, 0));
    store.CommitLayer({.layer = 0, .seconds = 1, .statistics = rows, .activations = {}});
    store.FinishCalibration();
    return run_dir;
  }

  TempDir dir_;
};

TEST_F(StatisticRowsTest, LargeValuesLieInAFileThatTheStoreNames) {
  const fs::path run_dir = MakeStore("a", 2, 5);
  const Store store = Store::OpenForReading(run_dir);
  const std::vector<StatisticKey> keys = ListStatistics(store.database());
  ASSERT_THAT(keys, SizeIs(3));
  EXPECT_EQ(keys[0].name, "input_amax");
  EXPECT_EQ(keys[0].file, "");
  EXPECT_EQ(keys[1].name, "square_sums");
  EXPECT_EQ(keys[1].version, SquareSums::kVersion);
  EXPECT_EQ(keys[1].length, sizeof(int64_t) + kLarge * sizeof(float));
  EXPECT_EQ(Read(store, keys[1]), std::vector<float>(kLarge, 2));
  EXPECT_EQ(keys[2].file, "");
  EXPECT_THAT(Read(store, keys[2]), IsEmpty());
  EXPECT_THAT(ValueFiles(run_dir), ElementsAre(run_dir / keys[1].file));
  EXPECT_THAT(NeededFiles(store), ElementsAre(keys[1].file));
  EXPECT_THAT(store.Inputs(), SizeIs(1)) << "amax is as it was";
}

TEST_F(StatisticRowsTest, ValuesUpToTheLimitLieInTheirRow) {
  const size_t most = (kLargestInlineValue - statistics::kTokenBytes) / sizeof(float);
  EXPECT_THAT(ValueFiles(MakeStore("inline", 2, 5, most)), IsEmpty());
  EXPECT_THAT(ValueFiles(MakeStore("file", 2, 5, most + 1)), SizeIs(1));
}

TEST_F(StatisticRowsTest, StatusCountsThemAndNamesTheirFile) {
  const fs::path run_dir = MakeStore("a", 2, 5);
  const std::string file = ValueFiles(run_dir).at(0).filename();
  RunStatus status = ReadRunStatus(Store::OpenForReading(run_dir));
  EXPECT_THAT(status.statistics,
              ElementsAre(std::pair("input_amax", 1), std::pair("square_sums", 2)));
  EXPECT_THAT(status.unseen, ElementsAre("unseen"));
  ASSERT_THAT(status.files, SizeIs(2));
  EXPECT_EQ(status.files[1].name, file);
  EXPECT_TRUE(status.files[1].present);
  fs::remove(run_dir / file);
  status = ReadRunStatus(Store::OpenForReading(run_dir));
  EXPECT_FALSE(status.files[1].present);
}

TEST_F(StatisticRowsTest, AChangedOrLostFileIsNoticed) {
  const fs::path run_dir = MakeStore("a", 2, 5);
  const Store store = Store::OpenForReading(run_dir);
  const StatisticKey key = ListStatistics(store.database())[1];
  const fs::path file = run_dir / key.file;
  const std::byte other{0x5A};
  File::OpenForWrite(file, /*truncate=*/false).WriteAt(100, std::span(&other, 1));
  EXPECT_VERNIER_ERROR(ReadStatistic(store, key), ErrorCode::kStoreCorrupt, "of m does not have");
  fs::resize_file(file, 100);
  EXPECT_VERNIER_ERROR(ReadStatistic(store, key), ErrorCode::kStoreCorrupt, "shorter");
  fs::remove(file);
  EXPECT_VERNIER_ERROR(ReadStatistic(store, key), ErrorCode::kStoreCorrupt, "not there");
}

TEST_F(StatisticRowsTest, AnUnfinishedLayersFileIsReplacedByEverySave) {
  Store store = Store::Open(dir_.path() / "run");
  const PartialLayer place = {
      .layer = 0, .stage = "dense", .next = 1, .non_finites = {}, .parts = {}};
  std::vector<fs::path> before;
  for (const float sum : {1.0F, 2.0F, 3.0F}) {
    const std::vector<StatisticRow> rows = {Sums("m", std::vector<float>(kLarge, sum), 5)};
    SavePartialLayer(store, place, rows);
    const std::vector<fs::path> files = ValueFiles(store.run_dir());
    ASSERT_THAT(files, SizeIs(1));
    EXPECT_NE(files, before) << "the file of the save before stays until the next is committed";
    before = files;
    const std::vector<StatisticRow> saved = StatisticsOfUnit(store, 0);
    ASSERT_THAT(saved, SizeIs(1));
    EXPECT_EQ(saved[0].bytes, rows[0].bytes);
    EXPECT_THAT(ListStatistics(store.database()), IsEmpty()) << "the layer is not finished";
  }
  RemoveStaleFiles(store.run_dir(), NeededFiles(store));
  EXPECT_EQ(ValueFiles(store.run_dir()), before);
  DiscardPartialLayer(store);
  EXPECT_THAT(StatisticsOfUnit(store, 0), IsEmpty());
  EXPECT_THAT(ValueFiles(store.run_dir()), IsEmpty());
}

TEST_F(StatisticRowsTest, ALayerTakesThePlaceOfItsLastSave) {
  Store store = Store::Open(dir_.path() / "run");
  SavePartialLayer(store, {.layer = 0, .stage = "dense", .non_finites = {}, .parts = {}},
                   std::vector<StatisticRow>{Sums("m", std::vector<float>(kLarge, 1), 5)});
  store.CommitLayer({.layer = 0,
                     .seconds = 1,
                     .statistics = {Sums("m", std::vector<float>(kLarge, 2), 9)},
                     .activations = {}});
  RemoveStaleFiles(store.run_dir(), NeededFiles(store));
  EXPECT_THAT(ValueFiles(store.run_dir()), SizeIs(1));
  EXPECT_EQ(Read(store, ListStatistics(store.database()).at(0)), std::vector<float>(kLarge, 2));
}

TEST_F(StatisticRowsTest, AMergeAddsThemUpInAFileOfItsOwn) {
  const fs::path a = MakeStore("a", 2, 5), b = MakeStore("b", 3, 7);
  const fs::path into = dir_.path() / "ab";
  { MergeStores({a, b}, into, WithSquareSums()); }
  fs::remove_all(a);
  fs::remove_all(b);
  const Store merged = Store::OpenForReading(into);
  const StatisticKey key = ListStatistics(merged.database()).at(1);
  EXPECT_EQ(ReadValue(merged, key, WithSquareSums()).value.tokens, 12);
  EXPECT_EQ(Read(merged, key), std::vector<float>(kLarge, 5));
  EXPECT_THAT(NeededFiles(merged), ElementsAre(key.file));
}

TEST_F(StatisticRowsTest, AMergeTellsParentsApartByThemAlone) {
  const fs::path a = MakeStore("a", 2, 5), b = MakeStore("b", 3, 7);
  { MergeStores({a, b}, dir_.path() / "ab", WithSquareSums()); }
  {
    Store store = Store::Open(b);
    store.database().Execute("DELETE FROM statistic WHERE name = 'square_sums'");
  }
  EXPECT_VERNIER_ERROR(MergeStores({a, b}, dir_.path() / "ab", WithSquareSums()),
                       ErrorCode::kBadArgument, "another run");
}

TEST_F(StatisticRowsTest, ADiffComparesAsTheStatisticDoes) {
  const Store a = Store::OpenForReading(MakeStore("a", 2, 5));
  const Store b = Store::OpenForReading(MakeStore("b", 4, 5));
  const StatisticDiff diff = DiffStatistics(a, b, 0, WithSquareSums());
  EXPECT_EQ(diff.compared, 3);
  ASSERT_THAT(diff.differing, SizeIs(2));
  EXPECT_EQ(diff.differing[1].of, (StatisticName{"m", "square_sums"}));
  EXPECT_EQ(diff.differing[1].change, 0.5);
  EXPECT_EQ(diff.differing[1].first, "sum 8192");
  EXPECT_TRUE(DiffStatistics(a, b, 0.5, WithSquareSums()).Equal());
  const Store narrow = Store::OpenForReading(MakeStore("c", 2, 5, kLarge / 2));
  EXPECT_EQ(DiffStatistics(a, narrow, 0, WithSquareSums()).differing.at(0).change, 1);
}

TEST_F(StatisticRowsTest, ADumpHasThemBesideAmax) {
  const Store store = Store::OpenForReading(MakeStore("a", 2, 5));
  const Json json = AmaxJson(store, WithSquareSums());
  EXPECT_THAT(json.at("inputs"), SizeIs(1));
  ASSERT_THAT(json.at("statistics"), SizeIs(2));
  EXPECT_EQ(json.at("statistics")[0],
            ParseJson(R"({"statistic": "square_sums", "version": 3, "module": "m", "layer": 0,
                          "tokens": 5, "sum": 8192.0})",
                      ""));
  const fs::path path = dir_.path() / "dump.safetensors";
  WriteAmaxSafetensors(store, path, WithSquareSums());
  const File file = File::OpenForRead(path);
  std::map<std::string, checkpoint::TensorInfo> tensors;
  for (const auto& tensor : checkpoint::ReadSafetensorsHeader(file).tensors) {
    tensors[tensor.name] = tensor;
  }
  EXPECT_THAT(tensors, SizeIs(5)) << "amax with tokens, sums with tokens, tokens of the unseen";
  const checkpoint::TensorInfo& sums = tensors.at("m.square_sums");
  EXPECT_EQ(sums.shape, std::vector<int64_t>{static_cast<int64_t>(kLarge)});
  std::vector<float> values(kLarge);
  file.ReadAt(sums.begin, std::as_writable_bytes(std::span(values)));
  EXPECT_EQ(values, std::vector<float>(kLarge, 2));
}

TEST_F(StatisticRowsTest, AProgramThatDoesNotKnowThemSaysSoAndReadsTheRest) {
  const fs::path a = MakeStore("a", 2, 5), b = MakeStore("b", 3, 7);
  const Store store = Store::OpenForReading(a);
  EXPECT_VERNIER_ERROR(AmaxJson(store), ErrorCode::kStoreCorrupt,
                       "square_sums in version 3, which this program does not know");
  EXPECT_VERNIER_ERROR(DiffStatistics(store, store, 0), ErrorCode::kStoreCorrupt, "square_sums");
  EXPECT_VERNIER_ERROR(MergeStores({a, b}, dir_.path() / "ab"), ErrorCode::kStoreCorrupt,
                       "square_sums");
  EXPECT_THAT(store.Inputs(), SizeIs(1));
  EXPECT_THAT(ReadRunStatus(store).statistics, SizeIs(2));
}

TEST_F(StatisticRowsTest, BytesThatAreNotTheStatisticsAreDamage) {
  Store store = Store::Open(dir_.path() / "run");
  StatisticRow row = AmaxRows({{"m", 0, 1, 1}}).at(0);
  row.bytes.push_back(std::byte{0});
  store.CommitLayer({.layer = 0, .seconds = 1, .statistics = {row}, .activations = {}});
  EXPECT_VERNIER_ERROR(store.Inputs(), ErrorCode::kStoreCorrupt, "13 bytes is none of input_amax");
}

}  // namespace
}  // namespace vernier::run

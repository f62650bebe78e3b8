#include "run/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "base/error.h"
#include "run/sqlite.h"
#include "run/store_schema.h"
#include "tests/support/temp_dir.h"

namespace vernier::run {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::vernier::testing::TempDir;

LayerResult Layer(int layer, const std::vector<InputAmax>& inputs = {}) {
  return {.layer = layer,
          .seconds = 1.5,
          .statistics = AmaxRows(inputs),
          .activations = {.file_name = "hidden." + std::to_string(layer),
                          .bytes = 100 + static_cast<uint64_t>(layer),
                          .hash = "h" + std::to_string(layer)}};
}

// Runs `action` and returns the Error's code and text; fails when there is none.
template <typename Action>
std::pair<ErrorCode, std::string> Failure(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  ADD_FAILURE() << "no Error was thrown";
  return {};
}

class StoreTest : public ::testing::Test {
 protected:
  std::filesystem::path Run() const { return directory_.path() / "run"; }
  std::filesystem::path Database() const { return Run() / "vernier.sqlite"; }

 private:
  TempDir directory_;
};

TEST_F(StoreTest, IsEmptyWhenNew) {
  const Store store = Store::Open(Run());
  EXPECT_EQ(store.run_dir(), Run());
  EXPECT_EQ(store.LastLayer(), std::nullopt);
  EXPECT_FALSE(store.LatestActivations().has_value());
  EXPECT_FALSE(store.CalibrationFinished());
  EXPECT_TRUE(store.Inputs().empty());
  EXPECT_EQ(store.TotalLayers(), std::nullopt);
  EXPECT_TRUE(store.Identity().empty());
  EXPECT_TRUE(store.FinishedShards("p").empty());
}

TEST_F(StoreTest, KeepsEverythingOverReopening) {
  // Values that a detour over decimal text or a narrower type would change.
  const float amax = std::nextafter(0.1f, 1.0f);
  const float tiny = std::numeric_limits<float>::denorm_min();
  const int64_t many = int64_t{1} << 40;
  {
    Store store = Store::Open(Run());
    store.CommitLayer(Layer(0));
    store.CommitLayer(Layer(1, {{"layers.1.b", 1, amax, many}, {"layers.1.a", 1, tiny, 0}}));
    store.SetTotalLayers(61);
    store.CommitShard("p", {"b.safetensors", uint64_t{1} << 40, "hb", 3, 2, 1});
    store.CommitShard("p", {"a.safetensors", 7, "ha"});
  }
  Store store = Store::OpenExisting(Run());
  EXPECT_EQ(store.LastLayer(), 1);
  EXPECT_EQ(store.LatestActivations()->file_name, "hidden.1");
  EXPECT_EQ(store.LatestActivations()->bytes, 101u);
  EXPECT_EQ(store.LatestActivations()->hash, "h1");

  const std::vector<InputAmax> inputs = store.Inputs();
  ASSERT_EQ(inputs.size(), 2u);
  EXPECT_EQ(inputs[0].module, "layers.1.a");
  EXPECT_EQ(inputs[0].amax, tiny);
  EXPECT_EQ(inputs[1].module, "layers.1.b");
  EXPECT_EQ(inputs[1].amax, amax);
  EXPECT_EQ(inputs[1].tokens, many);
  EXPECT_EQ(inputs[1].layer, 1);

  EXPECT_EQ(store.TotalLayers(), 61);
  const std::vector<ShardRecord> shards = store.FinishedShards("p");
  ASSERT_EQ(shards.size(), 2u);
  EXPECT_EQ(shards[0].file_name, "a.safetensors");
  EXPECT_EQ(shards[1].bytes, uint64_t{1} << 40);
  EXPECT_EQ(shards[1].hash, "hb");
  EXPECT_EQ(shards[1].cast_blocks, 3);
  EXPECT_EQ(shards[1].cast_requantised, 2);
  EXPECT_EQ(shards[1].cast_inexact, 1);
}

TEST_F(StoreTest, ShardsBelongToOnePlan) {
  Store store = Store::Open(Run());
  store.CommitShard("p", {"a", 1, "h1"});
  EXPECT_TRUE(store.FinishedShards("q").empty());
  store.CommitShard("p", {"a", 2, "h2"});
  const std::vector<ShardRecord> shards = store.FinishedShards("p");
  ASSERT_EQ(shards.size(), 1u);
  EXPECT_EQ(shards[0].hash, "h2");
}

TEST_F(StoreTest, RefusesLayersOutOfOrder) {
  Store store = Store::Open(Run());
  EXPECT_EQ(Failure([&] { store.CommitLayer(Layer(1)); }).first, ErrorCode::kStoreCorrupt);
  store.CommitLayer(Layer(0));
  EXPECT_EQ(Failure([&] { store.CommitLayer(Layer(0)); }).first, ErrorCode::kStoreCorrupt);
  const auto [code, text] = Failure([&] { store.CommitLayer(Layer(2)); });
  EXPECT_THAT(text, AllOf(HasSubstr("layer 2"), HasSubstr("layer 1 is due")));
  EXPECT_EQ(store.LastLayer(), 0);
}

TEST_F(StoreTest, CommitsALayerWhollyOrNotAtAll) {
  Store store = Store::Open(Run());
  store.CommitLayer(Layer(0));
  // The second row breaks the primary key, after the first one was written.
  EXPECT_THROW(store.CommitLayer(Layer(1, {{"m", 0, 1, 1}, {"m", 0, 2, 2}})), Error);
  EXPECT_EQ(store.LastLayer(), 0);
  EXPECT_TRUE(store.Inputs().empty());
  store.CommitLayer(Layer(1, {{"m", 0, 1, 1}}));
  EXPECT_EQ(store.Inputs().size(), 1u);
}

TEST_F(StoreTest, LayersAreCommittedTogetherOrNotAtAll) {
  Store store = Store::Open(Run());
  const std::vector<LayerResult> gap = {Layer(0, {{"m", 0, 1, 1}}), Layer(2)};
  EXPECT_EQ(Failure([&] { store.CommitLayers(gap); }).first, ErrorCode::kStoreCorrupt);
  EXPECT_FALSE(store.LastLayer().has_value());
  EXPECT_TRUE(store.Inputs().empty());

  std::vector<LayerResult> both = {Layer(0, {{"m", 0, 1, 1}}), Layer(1, {{"n", 1, 2, 1}})};
  both[0].activations = {};
  store.CommitLayers(both);
  EXPECT_EQ(store.LastLayer(), 1);
  EXPECT_EQ(store.Inputs().size(), 2u);
  EXPECT_EQ(store.LatestActivations()->file_name, "hidden.1");

  const std::vector<LayerResult> last = {Layer(2)};
  store.CommitLastLayers(last);
  EXPECT_EQ(store.LastLayer(), 2);
  EXPECT_TRUE(store.CalibrationFinished());
}

TEST_F(StoreTest, FinishedCalibrationTakesNoMoreLayers) {
  Store store = Store::Open(Run());
  store.CommitLayer(Layer(0));
  store.FinishCalibration();
  EXPECT_TRUE(store.CalibrationFinished());
  EXPECT_FALSE(store.LatestActivations().has_value());
  EXPECT_EQ(store.LastLayer(), 0);
  EXPECT_THAT(Failure([&] { store.CommitLayer(Layer(1)); }).second,
              HasSubstr("after the end of calibration"));
}

TEST_F(StoreTest, RefusesAnotherIdentityAndShowsBothValues) {
  Store store = Store::Open(Run());
  store.RequireIdentity({{"seed", "1"}, {"source", "abc"}});
  store.RequireIdentity({{"seed", "1"}, {"source", "abc"}});
  const auto [code, text] = Failure([&] {
    store.RequireIdentity({{"seed", "2"}, {"source", "abc"}, {"new", "x"}});
  });
  EXPECT_EQ(code, ErrorCode::kStoreIdentity);
  EXPECT_THAT(text, AllOf(HasSubstr("new: stored (nothing), now x; seed: stored 1, now 2"),
                          Not(HasSubstr("source:"))));
  EXPECT_EQ(store.Identity(), (RunIdentity{{"seed", "1"}, {"source", "abc"}}));
  store.RequireIdentity({{"seed", "1"}, {"source", "abc"}});
}

TEST_F(StoreTest, IsHeldByOneProcessAtATime) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Store store = Store::Open(Run());
    store.CommitLayer(Layer(0));
    [[maybe_unused]] const ssize_t put = write(ready[1], "r", 1);
    pause();
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);

  const auto [code, text] = Failure([&] { Store::Open(Run()); });
  EXPECT_EQ(code, ErrorCode::kStoreLocked);
  EXPECT_THAT(text, HasSubstr("process " + std::to_string(child) + " "));

  // The holder is killed with an unfinished write-ahead log: the lock is free, the layer is there.
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_GT(std::filesystem::file_size(Run() / "vernier.sqlite-wal"), 0u);
  EXPECT_EQ(Store::Open(Run()).LastLayer(), 0);
}

TEST_F(StoreTest, RecoversWhatWasCommittedBeforeACrash) {
  TempDir crashed;
  {
    Store store = Store::Open(Run());
    store.CommitLayer(Layer(0));
    store.CommitLayer(Layer(1, {{"m", 0, 3, 9}}));
    // What a disk holds while the program runs is what it holds after a power failure.
    for (const char* file : {"vernier.sqlite", "vernier.sqlite-wal"}) {
      std::filesystem::copy_file(Run() / file, crashed.path() / file);
    }
    store.CommitLayer(Layer(2));
  }
  Store store = Store::Open(crashed.path());
  EXPECT_EQ(store.LastLayer(), 1);
  EXPECT_EQ(store.Inputs().size(), 1u);
}

TEST_F(StoreTest, IgnoresATornWriteAtTheEndOfTheLog) {
  TempDir crashed;
  {
    Store store = Store::Open(Run());
    store.CommitLayer(Layer(0));
    const uint64_t before = std::filesystem::file_size(Run() / "vernier.sqlite-wal");
    store.CommitLayer(Layer(1));
    for (const char* file : {"vernier.sqlite", "vernier.sqlite-wal"}) {
      std::filesystem::copy_file(Run() / file, crashed.path() / file);
    }
    const uint64_t after = std::filesystem::file_size(Run() / "vernier.sqlite-wal");
    ASSERT_GT(after, before);
    std::filesystem::resize_file(crashed.path() / "vernier.sqlite-wal", after - 100);
  }
  EXPECT_EQ(Store::Open(crashed.path()).LastLayer(), 0);
}

TEST_F(StoreTest, OpenExistingNeedsAStore) {
  EXPECT_EQ(Failure([&] { Store::OpenExisting(Run()); }).first, ErrorCode::kNotCalibrated);
  EXPECT_FALSE(std::filesystem::exists(Run()));
}

TEST_F(StoreTest, RefusesAnotherSchemaVersion) {
  Store::Open(Run());
  run::Database(Database()).Execute("PRAGMA user_version = 99");
  const auto [code, text] = Failure([&] { Store::Open(Run()); });
  EXPECT_EQ(code, ErrorCode::kStoreCorrupt);
  EXPECT_THAT(
      text, AllOf(HasSubstr("version 99"), HasSubstr("version " + std::to_string(kSchemaVersion))));
}

TEST_F(StoreTest, RefusesAnotherProgramsDatabase) {
  std::filesystem::create_directories(Run());
  run::Database(Database()).Execute("CREATE TABLE t (x)");
  const auto [code, text] = Failure([&] { Store::Open(Run()); });
  EXPECT_EQ(code, ErrorCode::kStoreCorrupt);
  EXPECT_THAT(text, HasSubstr("not a calibration store"));
}

TEST_F(StoreTest, RefusesAFileThatIsNoDatabase) {
  std::filesystem::create_directories(Run());
  std::ofstream(Database()) << std::string(5000, 'x');
  const auto [code, text] = Failure([&] { Store::Open(Run()); });
  EXPECT_EQ(code, ErrorCode::kStoreCorrupt);
  EXPECT_THAT(text, HasSubstr("vernier.sqlite"));
}

TEST_F(StoreTest, RefusesADamagedStore) {
  {
    Store store = Store::Open(Run());
    store.CommitLayer(Layer(0));
    std::vector<InputAmax> inputs;
    for (int i = 0; i < 2000; ++i) inputs.push_back({"module." + std::to_string(i), 0, 1, 1});
    store.CommitLayer(Layer(1, std::move(inputs)));
  }
  // All pages but the first are overwritten: the file still looks like a database.
  const uint64_t size = std::filesystem::file_size(Database());
  ASSERT_GT(size, 8192u);
  std::fstream file(Database(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);
  file << std::string(size - 4096, '\x5A');
  file.close();
  EXPECT_EQ(Failure([&] { Store::Open(Run()).Inputs(); }).first, ErrorCode::kStoreCorrupt);
}

TEST_F(StoreTest, LogsEvents) {
  {
    Store store = Store::Open(Run());
    store.LogEvent("resume", "layer 3");
    store.LogEvent("export", "shard 1");
  }
  const run::Database database(Database());
  EXPECT_EQ(database.QueryText("SELECT kind || ' ' || detail FROM event WHERE id = 2"),
            "export shard 1");
  EXPECT_THAT(database.QueryText("SELECT at FROM event"), HasSubstr("T"));
}

}  // namespace
}  // namespace vernier::run

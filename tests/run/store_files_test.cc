// The files that a store consists of: moved, read beside a writer, read only.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>

#include "run/lock_file.h"
#include "run/sqlite.h"
#include "run/store.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::run {
namespace {

using ::vernier::testing::TempDir;

class StoreFilesTest : public ::testing::Test {
 protected:
  std::filesystem::path Run() const { return directory_.path() / "run"; }
  std::filesystem::path Database() const { return Run() / "vernier.sqlite"; }

 private:
  TempDir directory_;
};

void CommitLayer(Store& store, int layer) {
  store.CommitLayer({.layer = layer,
                     .seconds = 1,
                     .statistics = {},
                     .activations = {.file_name = "hidden", .bytes = 1, .hash = "h"}});
}

// A closed store with one layer.
void MakeStore(const std::filesystem::path& run_dir) {
  Store store = Store::Open(run_dir);
  CommitLayer(store, 0);
}

// Names of the files in the run directory.
std::set<std::string> FilesIn(const std::filesystem::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

TEST_F(StoreFilesTest, IsOneFileOnceItIsClosed) {
  {
    Store store = Store::Open(Run());
    CommitLayer(store, 0);
    EXPECT_TRUE(FilesIn(Run()).contains("vernier.sqlite-wal"));
  }
  EXPECT_EQ(FilesIn(Run()), (std::set<std::string>{"vernier.lock", "vernier.sqlite"}));
  TempDir elsewhere;
  std::filesystem::copy_file(Database(), elsewhere.path() / "vernier.sqlite");
  EXPECT_EQ(Store::OpenExisting(elsewhere.path()).LastLayer(), 0);
}

TEST_F(StoreFilesTest, TheLogOfAKilledProcessIsFoldedIn) {
  TempDir killed;
  {
    Store store = Store::Open(Run());
    CommitLayer(store, 0);
    for (const char* file : {"vernier.sqlite", "vernier.sqlite-wal"}) {
      std::filesystem::copy_file(Run() / file, killed.path() / file);
    }
  }
  Store::Open(killed.path());
  std::filesystem::remove(killed.path() / "vernier.lock");
  EXPECT_EQ(FilesIn(killed.path()), std::set<std::string>{"vernier.sqlite"});
  EXPECT_EQ(Store::OpenForReading(killed.path()).LastLayer(), 0);
}

TEST_F(StoreFilesTest, ReadsBesideTheProcessThatWrites) {
  Store writer = Store::Open(Run());
  CommitLayer(writer, 0);
  {
    const Store reader = Store::OpenForReading(Run());
    EXPECT_EQ(reader.LastLayer(), 0);
    CommitLayer(writer, 1);
    EXPECT_EQ(reader.LastLayer(), 1);
  }
  EXPECT_EQ(LockHolder(Run() / "vernier.lock"), getpid());
}

TEST_F(StoreFilesTest, ReadingLeavesNoTrace) {
  MakeStore(Run());
  std::filesystem::remove(Run() / "vernier.lock");
  const auto before = std::filesystem::last_write_time(Database());
  EXPECT_EQ(Store::OpenForReading(Run()).LastLayer(), 0);
  EXPECT_EQ(Store::OpenForReading(Database()).LastLayer(), 0);
  EXPECT_EQ(FilesIn(Run()), std::set<std::string>{"vernier.sqlite"});
  EXPECT_EQ(std::filesystem::last_write_time(Database()), before);
  EXPECT_EQ(LockHolder(Run() / "vernier.lock"), std::nullopt);
}

TEST_F(StoreFilesTest, AReaderCannotWrite) {
  Store::Open(Run());
  Store reader = Store::OpenForReading(Run());
  EXPECT_VERNIER_ERROR(CommitLayer(reader, 0), ErrorCode::kStoreCorrupt, "readonly");
}

TEST_F(StoreFilesTest, ReadsAPlaceWithAStrangeName) {
  const std::filesystem::path strange = Run() / "50% off? #1";
  MakeStore(strange);
  EXPECT_EQ(Store::OpenForReading(strange).LastLayer(), 0);
}

TEST_F(StoreFilesTest, ReadingNeedsAStoreOfAKnownVersion) {
  EXPECT_VERNIER_ERROR(Store::OpenForReading(Run()), ErrorCode::kNotCalibrated, "no calibration");
  std::filesystem::create_directories(Run());
  EXPECT_VERNIER_ERROR(Store::OpenForReading(Run()), ErrorCode::kNotCalibrated, "no calibration");
  std::ofstream(Database()).flush();  // killed before the tables were there
  EXPECT_VERNIER_ERROR(Store::OpenForReading(Run()), ErrorCode::kNotCalibrated, "is empty");
  Store::Open(Run());
  run::Database(Database()).Execute("PRAGMA user_version = 1");
  EXPECT_VERNIER_ERROR(Store::OpenForReading(Run()), ErrorCode::kStoreCorrupt, "version 1");
}

}  // namespace
}  // namespace vernier::run

#include "checkpoint/read_speed.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

TEST(ReadSpeedTest, IsThatOfReadingTheLargestShard) {
  const testing::TempDir dir;
  testing::WriteSyntheticDeepseekV4(dir.path(), {.layers = 2, .shards = 2});
  const Checkpoint checkpoint = Checkpoint::Open(dir.path());
  const double speed = MeasureReadSpeed(checkpoint);
  EXPECT_GT(speed, 1e3) << "bytes per second";
  EXPECT_LT(speed, 1e13);
  for (const Shard& shard : checkpoint.shards())
    std::filesystem::remove(dir.path() / shard.file_name);
  EXPECT_VERNIER_ERROR(MeasureReadSpeed(checkpoint), ErrorCode::kFileOpen, ".safetensors");
}

TEST(CachedShareTest, IsBetweenNothingAndEverything) {
  const testing::TempDir dir;
  testing::WriteSyntheticDeepseekV4(dir.path(), {.layers = 2, .shards = 2});
  const Checkpoint checkpoint = Checkpoint::Open(dir.path());
  const double share = CachedShare(checkpoint);  // of what was just written, but for direct writes
  EXPECT_GE(share, 0);
  EXPECT_LE(share, 1);
  for (const Shard& shard : checkpoint.shards()) ReadWholeFile(dir.path() / shard.file_name);
  EXPECT_GT(CachedShare(checkpoint), 0.9) << "where the file system tells";
}

}  // namespace
}  // namespace vernier::checkpoint

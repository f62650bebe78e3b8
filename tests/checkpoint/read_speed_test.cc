#include "checkpoint/read_speed.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
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

}  // namespace
}  // namespace vernier::checkpoint

// Memory does not grow with the model: the same recipe on 4 and on 24 layers.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/command.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

// Peak of calibrate, export and validate on a model of `layers` layers whose weights are a good
// part of what the process needs. With one arena: how many of malloc's arenas threads happen to
// fill differs from run to run by more than what this test is about.
uint64_t PeakBytes(int64_t layers) {
  const TempDir dir;
  WriteSyntheticDeepseekV4(dir.path() / "source", {.layers = layers,
                                                   .experts = 24,
                                                   .hidden = 512,
                                                   .moe_width = 512,
                                                   .vocab = 1024,
                                                   .shards = 4});
  AddTokenizer(dir.path() / "source");
  const Json recipe = SyntheticRecipe(dir.path(), dir.path() / "source", 1024, 4, 128);
  const CommandResult result = RunVernier({"run", WriteRecipe(dir.path(), recipe),
                                           "--device-memory", "256MiB", "--stream-memory", "32MiB"},
                                          {.environment = {{"MALLOC_ARENA_MAX", "1"}}});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  return result.peak_bytes;
}

// Peaks of equal runs differ a little, as threads happen to hold memory at once; what grows with
// the model shows in every run.
TEST(MemoryTest, PeakIsTheSameForSixTimesTheLayers) {
  const uint64_t small = std::max(PeakBytes(4), PeakBytes(4));
  const uint64_t large = std::min(PeakBytes(24), PeakBytes(24));
  RecordProperty("peak_4_layers", std::to_string(small));
  RecordProperty("peak_24_layers", std::to_string(large));
  EXPECT_LT(static_cast<double>(large), 1.10 * static_cast<double>(small))
      << small << " bytes with 4 layers, " << large << " with 24";
}

}  // namespace
}  // namespace vernier::testing

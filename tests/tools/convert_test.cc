// vernier convert and dequantize as a user runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/source_model.h"
#include "tests/support/command.h"
#include "tests/support/read_tensor.h"
#include "tests/tools/convert_fixture.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;

class ConvertTest : public ConvertFixture {
 protected:
  ConvertTest() { WriteSource(); }
  void TearDown() override { ::unsetenv("VERNIER_IO"); }
};

TEST_F(ConvertTest, BytesDependNeitherOnThreadsNorOnTheWayOfReading) {
  Convert(Source(), "one", {"--threads", "1", "--method", "max"});
  const auto expected = HashTree(Place("one"));
  EXPECT_THAT(expected, Contains(Key("vernier_manifest.json")));
  for (const char* threads : {"2", "5"}) {
    Convert(Source(), std::string("threads-") + threads, {"--threads", threads, "--method", "max"});
    EXPECT_EQ(HashTree(Place(std::string("threads-") + threads)), expected);
  }
  for (const char* way : {"threads", "buffered", "threads,buffered"}) {
    ::setenv("VERNIER_IO", way, 1);
    Convert(Source(), way, {"--method", "max"});
    EXPECT_EQ(HashTree(Place(way)), expected) << way;
  }
}

TEST_F(ConvertTest, AKilledConversionGoesOnAndKeepsFinishedShards) {
  Convert(Source(), "calm", {});
  const std::vector<std::string> arguments = {"convert",
                                              Source().string(),
                                              Place("killed").string(),
                                              "--progress",
                                              "json",
                                              "--threads",
                                              "1",
                                              "--input-scale",
                                              "1.0"};
  int kills = 0;
  for (const double fraction : {0.0, 0.3, 0.6, 0.9}) {
    kills +=
        RunVernier(arguments, {.kill_when = Past("export", fraction)}).exit_code == kKilled ? 1 : 0;
  }
  EXPECT_GE(kills, 1);
  const CommandResult resumed = RunVernier(arguments);
  ASSERT_EQ(resumed.exit_code, 0) << resumed.errors;
  EXPECT_EQ(HashTree(Place("killed")), HashTree(Place("calm")));

  const CommandResult again = RunVernier(arguments);
  ASSERT_EQ(again.exit_code, 0) << again.errors;
  EXPECT_THAT(again.output, HasSubstr("7 finished earlier"));
  EXPECT_EQ(HashTree(Place("killed")), HashTree(Place("calm")));
}

TEST_F(ConvertTest, ADamagedFinishedShardIsWrittenAgain) {
  Convert(Source(), "out", {});
  const auto expected = HashTree(Place("out"));
  const fs::path shard = Place("out") / "model-00003-of-00007.safetensors";
  const std::byte wrong{0x5A};
  File::OpenForWrite(shard, /*truncate=*/false)
      .WriteAt(fs::file_size(shard) - 3, std::span(&wrong, 1));
  ASSERT_NE(HashTree(Place("out")), expected);
  Convert(Source(), "out", {});
  EXPECT_EQ(HashTree(Place("out")), expected);
}

TEST_F(ConvertTest, TheLosslessCastKeepsEveryValue) {
  Convert(Source(), "nvfp4", {});
  EXPECT_EQ(WeightError(Source(), Place("nvfp4")), 0.0);
}

TEST_F(ConvertTest, DequantizedWeightsAreTheSourcesInBf16) {
  Dequantize(Source(), "bf16");
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
  const checkpoint::SourceModel plain = checkpoint::OpenSourceModel(Place("bf16"));
  EXPECT_FALSE(plain.checkpoint.config().contains("quantization_config"));
  EXPECT_FALSE(fs::exists(Place("bf16") / "hf_quant_config.json"));
  for (const checkpoint::LogicalWeight& weight : source.layout.weights) {
    const checkpoint::LogicalWeight* other = plain.layout.FindModule(weight.module);
    ASSERT_NE(other, nullptr) << weight.module;
    if (weight.format == checkpoint::formats::kInteger) continue;
    EXPECT_EQ(other->format, checkpoint::formats::kPlain) << weight.module;
    EXPECT_EQ(ReadWeight(source.checkpoint, weight), ReadWeight(plain.checkpoint, *other))
        << weight.module;
  }
}

TEST_F(ConvertTest, KernelLayoutsLieBesideTheCheckpoint) {
  Convert(Source(), "out", {"--layout", "swizzle-128x4", "--layout", "mega-moe"});
  const auto files = HashTree(Place("out"));
  EXPECT_THAT(files, Contains(Key("kernel_layouts/swizzle-128x4/layer-00003.safetensors")));
  EXPECT_THAT(files, Contains(Key("kernel_layouts/mega-moe/layer-00000.safetensors")));
}

TEST_F(ConvertTest, ACheckpointWithoutConfigIsRefused) {
  fs::remove(Source() / "config.json");
  const CommandResult result =
      RunVernier({"convert", Source().string(), Place("out").string(), "--input-scale", "1"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.errors, HasSubstr("VN-CKPT-008"));
  EXPECT_FALSE(fs::exists(Place("out")));
}

struct BadCommand {
  std::vector<std::string> arguments;
  std::string code;
};

TEST_F(ConvertTest, WhatCannotBeDoneIsOneLineWithACode) {
  const std::string out = Place("out").string();
  for (const BadCommand& bad :
       {BadCommand{{Place("absent").string(), out}, "VN-CKPT-001"},
        BadCommand{{Source().string(), Source().string()}, "VN-ARG-001"},
        BadCommand{{Source().string(), out, "--method", "four_over_six", "--weights", "mxfp8"},
                   "VN-"},
        BadCommand{{Source().string(), out, "--weights", "int4"}, "VN-RECIPE-003"},
        BadCommand{{Source().string(), out, "--layout", "origami"}, "VN-ARG-001"},
        BadCommand{{Source().string(), out, "--weights", "bf16", "--layout", "mega-moe"},
                   "no routed expert becomes NVFP4"},
        BadCommand{{Source().string(), out, "--input-scale", "nan"}, "VN-ARG-001"},
        BadCommand{{Source().string(), out, "--input-scale", "1e39"}, "VN-ARG-001"},
        BadCommand{{Source().string(), out, "--method", "mse", "--input-scale", "1", "--importance",
                    out + ".none"},
                   "VN-FILE-001"}}) {
    std::vector<std::string> arguments = {"convert"};
    arguments.insert(arguments.end(), bad.arguments.begin(), bad.arguments.end());
    const CommandResult result = RunVernier(arguments);
    EXPECT_NE(result.exit_code, 0);
    EXPECT_THAT(result.errors, HasSubstr(bad.code)) << arguments.back();
    EXPECT_FALSE(fs::exists(Place("out") / "vernier_manifest.json"));
  }
}

}  // namespace
}  // namespace vernier::testing

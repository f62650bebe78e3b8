// Sources that change while they are converted, and sources with values that are not finite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/source_model.h"
#include "tests/support/command.h"
#include "tests/support/read_tensor.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/tools/convert_fixture.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;

class ConvertSourceTest : public ConvertFixture {
 protected:
  std::vector<std::string> Arguments(const std::string& output) const {
    return {"convert",
            Source().string(),
            Place(output).string(),
            "--progress",
            "json",
            "--threads",
            "1",
            "--input-scale",
            "1.0"};
  }

  // A conversion that was killed after its first shard.
  void KillHalfway(const std::string& output) {
    ASSERT_EQ(RunVernier(Arguments(output), {.kill_when = Past("export", 0.5)}).exit_code, kKilled);
    ASSERT_TRUE(fs::exists(Place(output) / Shard(1).filename()));
    ASSERT_FALSE(fs::exists(Place(output) / Shard(7).filename()));
  }

  fs::path Shard(int number) const {
    return Source() / ("model-0000" + std::to_string(number) + "-of-00007.safetensors");
  }

  // Flips a bit of the last tensor. The modification time is later, however coarse the clock is.
  static void FlipBit(const fs::path& shard) {
    const fs::file_time_type before = fs::last_write_time(shard);
    {
      const File file = File::OpenForWrite(shard, /*truncate=*/false);
      std::byte last{};
      file.ReadAt(file.Size() - 1, std::span(&last, 1));
      last ^= std::byte{1};
      file.WriteAt(file.Size() - 1, std::span(&last, 1));
    }
    fs::last_write_time(shard, before + std::chrono::seconds(5));
  }
};

TEST_F(ConvertSourceTest, AShardThatWasUsedAndThenChangedIsRefused) {
  WriteSource();
  KillHalfway("out");
  FlipBit(Shard(1));
  ExpectFailure(RunVernier(Arguments("out")), "VN-STORE-005",
                {Shard(1).string(), "has other bytes than when this run first read it"});
  FlipBit(Shard(1));
  EXPECT_EQ(RunVernier(Arguments("out")).exit_code, 0);
}

TEST_F(ConvertSourceTest, AShardThatWasOnlyTouchedIsNot) {
  WriteSource();
  Convert(Source(), "calm", {});
  KillHalfway("out");
  for (const int shard : {1, 7}) {
    fs::last_write_time(Shard(shard), fs::last_write_time(Shard(shard)) + std::chrono::hours(1));
  }
  const CommandResult result = RunVernier(Arguments("out"));
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(HashTree(Place("out")), HashTree(Place("calm")));
}

TEST_F(ConvertSourceTest, AShardReplacedWithItsOldTimeIsNoticedWhenItIsReadAgain) {
  WriteSource();
  const std::string run = Place("run").string();
  Convert(Source(), "one", {"--run-dir", run});
  const fs::file_time_type before = fs::last_write_time(Shard(4));
  FlipBit(Shard(4));
  fs::last_write_time(Shard(4), before);
  std::vector<std::string> arguments = Arguments("two");
  arguments.insert(arguments.end(), {"--run-dir", run});
  ExpectFailure(RunVernier(arguments), "VN-STORE-005", {Shard(4).string()});
  EXPECT_FALSE(fs::exists(Place("two") / Shard(4).filename()));
}

TEST_F(ConvertSourceTest, ATruncatedShardIsRefused) {
  WriteSource();
  KillHalfway("out");
  fs::resize_file(Shard(7), fs::file_size(Shard(7)) - 1);
  ExpectFailure(RunVernier(Arguments("out")), "VN-CKPT-003", {Shard(7).string()});
}

constexpr const char* kTensor = "model.layers.0.mlp.gate_proj.weight";

class ConvertNonFiniteTest : public ConvertFixture {
 protected:
  ConvertNonFiniteTest() { WriteLlama(); }

  // Writes BF16 elements 5 and 700 of kTensor.
  void Write(uint16_t fifth, uint16_t other) const {
    Overwrite(Llama(), kTensor, 2 * 5, std::as_bytes(std::span(&fifth, 1)));
    Overwrite(Llama(), kTensor, 2 * 700, std::as_bytes(std::span(&other, 1)));
  }

  Json Manifest(const std::string& output) const {
    return Json::parse(ReadWholeFile(Place(output) / "vernier_manifest.json"));
  }

  // The shards alone: the manifests differ in what they say of clamping.
  std::map<std::string, std::string> Shards(const std::string& output) const {
    std::map<std::string, std::string> shards = HashTree(Place(output));
    std::erase_if(shards, [](const auto& file) { return !file.first.ends_with(".safetensors"); });
    return shards;
  }
};

TEST_F(ConvertNonFiniteTest, StopsAndNamesTheElementByDefault) {
  Write(0x7FC0, 0xFF80);
  const CommandResult result = RunVernier({"convert", Llama().string(), Place("out").string()});
  ExpectFailure(result, "VN-CKPT-011", {kTensor, "element 5 is NaN", "clamp"});
  // What the message recommends works in the same run directory.
  Convert(Llama(), "out", {"--non-finite", "clamp"});
}

TEST_F(ConvertNonFiniteTest, ClampedItIsTheConversionOfTheClampedSource) {
  for (const char* weights : {"nvfp4", "fp8_block"}) {
    const std::string clamped = std::string("clamped-") + weights;
    const std::string expected = std::string("expected-") + weights;
    Write(0x7FC0, 0xFF80);
    // Little memory: the scales of gate and up come from a first pass.
    Convert(Llama(), clamped,
            {"--weights", weights, "--non-finite", "clamp", "--stream-memory", "16MiB"});
    Write(0, 0xFF7F);
    Convert(Llama(), expected, {"--weights", weights});
    EXPECT_EQ(Shards(clamped), Shards(expected)) << weights;
    EXPECT_TRUE(Manifest(expected)["clamped_tensors"].empty());
    EXPECT_EQ(Manifest(clamped)["clamped_tensors"].size(), 1u) << weights;
  }
}

TEST_F(ConvertNonFiniteTest, TheManifestAndTheSummarySaySoAlsoAfterAResume) {
  Write(0x7FC0, 0x7FC0);
  const std::vector<std::string> arguments = {
      "convert", Llama().string(), Place("out").string(), "--non-finite", "clamp", "--validate"};
  for (const char* run : {"first", "again"}) {
    const CommandResult result = RunVernier(arguments);
    ASSERT_EQ(result.exit_code, 0) << run << result.output << result.errors;
    EXPECT_THAT(result.output, HasSubstr("clamped      2 NaN or infinite elements of 1 source"));
    const Json expected =
        Json::array({{{"name", kTensor}, {"elements", 2}, {"first", 5}, {"first_value", "NaN"}}});
    EXPECT_EQ(Manifest("out")["clamped_tensors"], expected) << run;
  }
  const checkpoint::SourceModel model = checkpoint::OpenAnySourceModel(Place("out"));
  const std::vector<float> values =
      ReadWeight(model.checkpoint, *model.layout.FindModule("model.layers.0.mlp.gate_proj"));
  EXPECT_EQ(values[5], 0.0f);
  EXPECT_EQ(values[700], 0.0f);
}

}  // namespace
}  // namespace vernier::testing

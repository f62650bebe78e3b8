// The source between a calibration and the export that goes with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "tests/support/command.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

constexpr const char* kExpert = "layers.1.ffn.experts.2.w2.weight";
constexpr const char* kExpertScale = "layers.1.ffn.experts.2.w2.scale";

class CalibratedSourceTest : public ::testing::Test {
 protected:
  CalibratedSourceTest() {
    WriteSyntheticDeepseekV4(Source(), {.layers = 4});
    AddTokenizer(Source());
    const Json recipe = SyntheticRecipe(dir_.path(), Source(), 256, 4, 128);
    recipe_ = WriteRecipe(dir_.path(), recipe);
  }

  std::filesystem::path Source() const { return dir_.path() / "source"; }
  std::filesystem::path Output() const { return dir_.path() / "out"; }

  // Writes a byte of a tensor, and leaves the file's modification time as it was.
  void Write(const char* tensor, uint64_t offset, uint8_t value) const {
    const checkpoint::Checkpoint source = checkpoint::Checkpoint::Open(Source());
    const checkpoint::TensorLocation& location = source.tensor(source.Find(tensor));
    const std::filesystem::path shard = Source() / source.shards()[location.shard].file_name;
    const auto before = std::filesystem::last_write_time(shard);
    Overwrite(Source(), tensor, offset, std::as_bytes(std::span(&value, 1)));
    std::filesystem::last_write_time(shard, before);
  }

  uint8_t Read(const char* tensor, uint64_t offset) const {
    const checkpoint::Checkpoint source = checkpoint::Checkpoint::Open(Source());
    std::byte value{};
    source.Read(source.Find(tensor), offset, std::span(&value, 1));
    return static_cast<uint8_t>(value);
  }

  std::string recipe_;

 private:
  TempDir dir_;
};

TEST_F(CalibratedSourceTest, ABitThatFlipsBeforeTheExportIsNoticed) {
  ASSERT_EQ(RunVernier({"calibrate", recipe_}).exit_code, 0);
  const uint8_t before = Read(kExpert, 100);
  Write(kExpert, 100, before ^ 1);
  ExpectFailure(RunVernier({"export", recipe_}), "VN-STORE-005", {kExpert});
  EXPECT_FALSE(std::filesystem::exists(Output() / "vernier_manifest.json"));
  Write(kExpert, 100, before);
  const CommandResult restored = RunVernier({"export", recipe_});
  EXPECT_EQ(restored.exit_code, 0) << restored.errors;
}

TEST_F(CalibratedSourceTest, ABadScaleStopsTheCalibrationUnlessItIsClamped) {
  Write(kExpertScale, 3, 0xFF);
  ExpectFailure(RunVernier({"run", recipe_}), "VN-CKPT-011", {kExpertScale, "element 3 is NaN"});
  const std::string run = (Output().parent_path() / "clamped-run").string();
  const CommandResult clamped =
      RunVernier({"run", recipe_, "--non-finite", "clamp", "--run-dir", run});
  ASSERT_EQ(clamped.exit_code, 0) << clamped.output << clamped.errors;
  const Json manifest = Json::parse(ReadWholeFile(Output() / "vernier_manifest.json"));
  const Json expected = Json::array(
      {{{"name", kExpertScale}, {"elements", 1}, {"first", 3}, {"first_value", "NaN"}}});
  EXPECT_EQ(manifest["clamped_tensors"], expected);
}

}  // namespace
}  // namespace vernier::testing

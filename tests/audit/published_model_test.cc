// The helper that stands for published checkpoints: its tensors are as many and as large as theirs,
// and its files take no room.
#include "tests/audit/published_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "checkpoint/checkpoint.h"
#include "tests/audit/published_tensors.h"
#include "tests/support/temp_dir.h"

namespace vernier::audit {
namespace {

using checkpoint::Checkpoint;

constexpr uint64_t kMiB = 1024 * 1024;

// What the directory's files occupy on the disk.
uint64_t AllocatedBytes(const std::filesystem::path& directory) {
  constexpr uint64_t kStatBlock = 512;
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    struct stat status = {};
    if (stat(entry.path().c_str(), &status) == 0) {
      bytes += static_cast<uint64_t>(status.st_blocks) * kStatBlock;
    }
  }
  return bytes;
}

class PublishedModelTest : public ::testing::TestWithParam<std::string> {
 protected:
  Checkpoint Write(const PublishedOptions& options) {
    WritePublishedModel(GetParam(), options, directory_.path());
    return Checkpoint::Open(directory_.path());
  }

  testing::TempDir directory_;
};

TEST_P(PublishedModelTest, IsACheckpointThatTakesNoRoom) {
  const Checkpoint model = Write({});
  EXPECT_GT(model.tensors().size(), 200u);
  EXPECT_LT(AllocatedBytes(directory_.path()), 4 * kMiB);
}

// What the configurations list by name is in the headers, in the form that the list says.
TEST_P(PublishedModelTest, ConfigurationNamesOnlyWhatIsThere) {
  const Checkpoint model = Write({});
  const PublishedConfig published = ReadPublishedConfig(GetParam(), {});
  for (const std::string& module : ExcludedModules(published)) {
    const size_t weight = model.Find(module + ".weight");
    if (module.find('*') != std::string::npos || weight == Checkpoint::kNotFound) continue;
    EXPECT_EQ(model.tensor(weight).info.dtype, checkpoint::DType::kBF16) << module;
  }
  if (published.quant_config.is_null()) return;
  const Json listed =
      published.quant_config["quantization"].value("quantized_layers", Json::object());
  for (const auto& [module, format] : listed.items()) {
    const size_t weight = model.Find(module + ".0.w1.weight");
    ASSERT_NE(weight, Checkpoint::kNotFound) << module;
    EXPECT_EQ(model.tensor(weight).info.dtype, checkpoint::DType::kU8) << module;
  }
}

INSTANTIATE_TEST_SUITE_P(Names, PublishedModelTest, ::testing::ValuesIn(PublishedNames()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (!isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name;
                         });

// DeepSeek publishes 671 billion parameters and an MTP layer of 14: one byte each, two in
// embeddings and heads.
TEST(PublishedSizeTest, DeepseekV3HasItsParameters) {
  constexpr const char* kName = "deepseek-ai--DeepSeek-V3";
  const PublishedConfig published = ReadPublishedConfig(kName, {.layers = 0, .experts = 0});
  uint64_t bytes = 0;
  for (const auto& spec : PublishedTensors(kName, published)) bytes += checkpoint::SpecBytes(spec);
  EXPECT_NEAR(static_cast<double>(bytes), 688.6e9, 1e9);
}

TEST(PublishedSizeTest, FewerLayersKeepTheirPatternsAndTheMtpLayer) {
  const PublishedConfig published =
      ReadPublishedConfig("nvidia--DeepSeek-V3.1-NVFP4", {.layers = 4, .experts = 8});
  const std::vector<std::string> excluded = ExcludedModules(published);
  EXPECT_EQ(excluded.size(), 1 + 4 * 4 + 1u);
  EXPECT_THAT(excluded, ::testing::Contains("model.layers.3.self_attn.kv_b_proj"));
  EXPECT_THAT(excluded, ::testing::Contains("model.layers.4*"));
  EXPECT_EQ(published.config["num_hidden_layers"], 4);
  EXPECT_EQ(published.config["n_routed_experts"], 8);
}

}  // namespace
}  // namespace vernier::audit

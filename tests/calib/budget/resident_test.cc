#include "calib/budget/resident.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace vernier::calib {
namespace {

constexpr uint64_t kPlenty = uint64_t{64} << 30;

class ResidentBudgetTest : public ::testing::Test {
 protected:
  std::optional<ResidentBudget> Plan(const std::string& model) const {
    const checkpoint::SourceModel source =
        checkpoint::OpenSourceModel(std::filesystem::path(VERNIER_TEST_DATA) / "models" / model);
    return PlanResident(source, compute_, workload_, batch_size_,
                        {.host_available = host_, .device_available = device_});
  }

  ComputeSpec compute_;
  Workload workload_ = {.samples = 3, .sequence_length = 50};
  int64_t batch_size_ = 2;
  uint64_t host_ = kPlenty, device_ = kPlenty;
};

TEST_F(ResidentBudgetTest, PartsAreTheModelsSizes) {
  // All 574,336 weights of tiny-llama but the embedding, of which rows are read as needed.
  const uint64_t weights = 574'336 - 512 * 128;
  const auto bf16 = Plan("tiny-llama");
  ASSERT_TRUE(bf16);
  EXPECT_EQ(bf16->weight_bytes, 2 * weights);
  // A key and a value of 2 heads x 32 in each of 3 layers, in F32.
  EXPECT_EQ(bf16->cache_bytes, 3u * 50 * 3 * 2 * (2 * 32) * 4);
  EXPECT_EQ(bf16->query_chunk, 256);
  compute_.dtype = recipes::ComputeDtype::kFloat32;
  const auto f32 = Plan("tiny-llama");
  ASSERT_TRUE(f32);
  EXPECT_EQ(f32->weight_bytes, 4 * weights);
  EXPECT_EQ(f32->cache_bytes, bf16->cache_bytes);
}

TEST_F(ResidentBudgetTest, ATiedEmbeddingIsTheHead) {
  EXPECT_EQ(Plan("llama3_tied")->weight_bytes, 2u * 63'808);
}

TEST_F(ResidentBudgetTest, PredictionLayersAreNotLoaded) {
  const uint64_t bytes = Plan("tiny-deepseek-v4")->weight_bytes;
  const uint64_t values = 3'555'942 - 516'056 - 1024 * 128;  // without mtp.* and the embedding
  EXPECT_GT(bytes, 2 * values) << "some are kept in F32";
  EXPECT_LT(bytes, 4 * values);
}

TEST_F(ResidentBudgetTest, IsThereOnlyWhereEverythingFits) {
  for (const char* device : {"cpu", "cuda"}) {
    compute_.device = device;
    for (const char* model : {"tiny-llama", "tiny-qwen3-moe", "tiny-deepseek-v4"}) {
      compute_.device_memory = 0;
      const uint64_t needed = Plan(model)->Bytes();
      compute_.device_memory = needed;
      EXPECT_TRUE(Plan(model)) << model << " on " << device;
      compute_.device_memory = needed - 1;
      EXPECT_FALSE(Plan(model)) << model << " on " << device;
    }
  }
}

TEST_F(ResidentBudgetTest, FreeMemoryCountsWhereNothingIsSaid) {
  workload_.samples = 3000;  // most of it is the cache
  host_ = Plan("tiny-llama")->Bytes();
  EXPECT_FALSE(Plan("tiny-llama")) << "some of it stays free";
  compute_.device = "cuda";
  const auto on_device = Plan("tiny-llama");
  ASSERT_TRUE(on_device) << "the host's memory is not the device's";
  device_ = on_device->Bytes();
  EXPECT_FALSE(Plan("tiny-llama"));
  device_ *= 2;
  EXPECT_TRUE(Plan("tiny-llama"));
}

TEST_F(ResidentBudgetTest, GrowsWithSequencesAndTheirLength) {
  const uint64_t cache = Plan("tiny-llama")->cache_bytes, batch = Plan("tiny-llama")->batch_bytes;
  workload_.samples *= 2;
  EXPECT_EQ(Plan("tiny-llama")->cache_bytes, 2 * cache);
  EXPECT_EQ(Plan("tiny-llama")->batch_bytes, batch) << "prompts run one by one";
  workload_.sequence_length *= 3;
  EXPECT_EQ(Plan("tiny-llama")->cache_bytes, 6 * cache);
  EXPECT_GT(Plan("tiny-llama")->batch_bytes, batch);
  const uint64_t longer = Plan("tiny-llama")->batch_bytes;
  batch_size_ = 6;
  EXPECT_EQ(Plan("tiny-llama")->batch_bytes, longer + 4 * 512 * 4) << "logits of four more";
}

}  // namespace
}  // namespace vernier::calib

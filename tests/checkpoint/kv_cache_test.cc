#include "checkpoint/families/kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/source_model.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The caches of a model with these weights, as "observed beside module: k v".
std::vector<std::string> CachesOf(const std::vector<std::string>& modules) {
  std::vector<vernier::testing::TestTensor> tensors;
  for (const std::string& module : modules) {
    tensors.push_back(vernier::testing::MakeTensor<uint16_t>(module + ".weight", DType::kBF16,
                                                             {1, 1}, std::vector<uint16_t>(1)));
  }
  const vernier::testing::TempDir directory;
  vernier::testing::WriteCheckpoint(
      directory.path(), {{"model_type", "unheard_of"}, {"num_hidden_layers", 2}}, tensors, 1);
  const SourceModel model = OpenAnySourceModel(directory.path());
  std::vector<std::string> caches;
  for (const KvCacheEntry& entry : model.family->KvCache(model.layout)) {
    EXPECT_TRUE(entry.observed.starts_with(entry.attention + "."));
    caches.push_back(std::to_string(entry.layer) + " " + entry.observed + " beside " +
                     entry.beside + ":" + (entry.keys ? " k" : "") + (entry.values ? " v" : ""));
  }
  return caches;
}

TEST(HfKvCacheTest, KeysAndValuesHaveACacheEach) {
  EXPECT_THAT(
      CachesOf({"model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj",
                "model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.k_proj"}),
      ElementsAre("0 model.layers.0.self_attn.k_cache beside model.layers.0.self_attn.k_proj: k",
                  "0 model.layers.0.self_attn.v_cache beside model.layers.0.self_attn.v_proj: v",
                  "1 model.layers.1.self_attn.k_cache beside model.layers.1.self_attn.k_proj: k"));
}

TEST(HfKvCacheTest, AFusedProjectionHasBoth) {
  EXPECT_THAT(
      CachesOf({"model.layers.0.self_attn.qkv_proj"}),
      ElementsAre(
          "0 model.layers.0.self_attn.k_cache beside model.layers.0.self_attn.qkv_proj: k",
          "0 model.layers.0.self_attn.v_cache beside model.layers.0.self_attn.qkv_proj: v"));
}

TEST(HfKvCacheTest, LatentAttentionCachesOneVector) {
  EXPECT_THAT(
      CachesOf({"model.layers.1.self_attn.q_a_proj", "model.layers.1.self_attn.kv_a_proj_with_mqa",
                "model.layers.1.self_attn.kv_b_proj"}),
      ElementsAre("1 model.layers.1.self_attn.kv_cache beside "
                  "model.layers.1.self_attn.kv_a_proj_with_mqa: k v"));
}

TEST(HfKvCacheTest, OtherModulesCacheNothing) {
  EXPECT_THAT(CachesOf({"model.layers.2.self_attn.k_proj",  // of the MTP layer
                        "model.layers.0.linear_attn.k_proj",
                        "vision_tower.layers.0.self_attn.k_proj", "model.layers.0.mlp.up_proj"}),
              IsEmpty());
}

TEST(HfKvCacheTest, ScalesAreKnownByTheirNames) {
  EXPECT_TRUE(IsKvCacheScale("model.layers.0.self_attn.k_proj.k_scale"));
  EXPECT_TRUE(IsKvCacheScale("model.layers.0.self_attn.v_scale"));
  EXPECT_FALSE(IsKvCacheScale("model.layers.0.self_attn.k_proj.weight_scale"));
  EXPECT_FALSE(IsKvCacheScale("model.layers.0.self_attn.k_proj.input_scale"));
}

}  // namespace
}  // namespace vernier::checkpoint

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/families/deepseek_v4_tensors.h"
#include "checkpoint/families/family.h"
#include "tests/support/expect_error.h"

namespace vernier::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json TinyConfig() {
  return ReadJsonFile(std::filesystem::path(VERNIER_TEST_DATA) /
                      "models/tiny-deepseek-v4/config.json");
}

struct Expected {
  const char* name;
  Role role;
  int layer;
  int expert;
  bool linear;
  const char* fused_group;
};

class DeepseekV4Names : public ::testing::TestWithParam<Expected> {};

TEST_P(DeepseekV4Names, MeanWhatTheReleaseMeans) {
  const Expected& expected = GetParam();
  const TensorMeaning meaning = MakeFamily(TinyConfig())->Classify(expected.name);
  EXPECT_EQ(RoleName(meaning.role), RoleName(expected.role)) << expected.name;
  EXPECT_EQ(meaning.layer, expected.layer) << expected.name;
  EXPECT_EQ(meaning.expert, expected.expert) << expected.name;
  EXPECT_EQ(meaning.linear, expected.linear) << expected.name;
  EXPECT_EQ(meaning.fused_group, expected.fused_group) << expected.name;
}

INSTANTIATE_TEST_SUITE_P(
    All, DeepseekV4Names,
    ::testing::Values(
        Expected{"embed.weight", Role::kEmbedding, -1, -1, false, ""},
        Expected{"head.weight", Role::kLmHead, -1, -1, true, ""},
        Expected{"norm.weight", Role::kNorm, -1, -1, false, ""},
        Expected{"hc_head_fn", Role::kHyperConnection, -1, -1, false, ""},
        Expected{"layers.3.attn.wq_a.weight", Role::kAttention, 3, -1, true,
                 "layers.3.attn.wq_a_wkv"},
        Expected{"layers.3.attn.wkv.weight", Role::kAttention, 3, -1, true,
                 "layers.3.attn.wq_a_wkv"},
        Expected{"layers.3.attn.wq_b.weight", Role::kAttention, 3, -1, true, ""},
        Expected{"layers.3.attn.wo_a.weight", Role::kAttention, 3, -1, true, ""},
        Expected{"layers.3.attn.wo_b.weight", Role::kAttention, 3, -1, true, ""},
        Expected{"layers.3.attn.attn_sink", Role::kAttentionAux, 3, -1, false, ""},
        Expected{"layers.3.attn.q_norm.weight", Role::kNorm, 3, -1, false, ""},
        Expected{"layers.3.attn_norm.weight", Role::kNorm, 3, -1, false, ""},
        Expected{"layers.3.attn.compressor.norm.weight", Role::kCompressor, 3, -1, false, ""},
        Expected{"layers.3.attn.compressor.wkv.weight", Role::kCompressor, 3, -1, true, ""},
        Expected{"layers.2.attn.indexer.wq_b.weight", Role::kIndexer, 2, -1, true, ""},
        Expected{"layers.2.attn.indexer.weights_proj.weight", Role::kIndexer, 2, -1, true, ""},
        Expected{"layers.2.attn.indexer.compressor.ape", Role::kIndexer, 2, -1, false, ""},
        Expected{"layers.0.ffn.gate.tid2eid", Role::kRouter, 0, -1, false, ""},
        Expected{"layers.2.ffn.gate.bias", Role::kRouter, 2, -1, false, ""},
        Expected{"layers.4.ffn.experts.7.w1.weight", Role::kRoutedExpert, 4, 7, true,
                 "layers.4.ffn.experts.7.w1w3"},
        Expected{"layers.4.ffn.experts.7.w3.weight", Role::kRoutedExpert, 4, 7, true,
                 "layers.4.ffn.experts.7.w1w3"},
        Expected{"layers.4.ffn.experts.7.w2.weight", Role::kRoutedExpert, 4, 7, true, ""},
        Expected{"layers.4.ffn.shared_experts.w1.weight", Role::kSharedExpert, 4, -1, true,
                 "layers.4.ffn.shared_experts.w1w3"},
        Expected{"layers.4.hc_ffn_base", Role::kHyperConnection, 4, -1, false, ""},
        Expected{"mtp.0.ffn.experts.3.w3.weight", Role::kMtp, 0, 3, true,
                 "mtp.0.ffn.experts.3.w1w3"},
        Expected{"mtp.0.e_proj.weight", Role::kMtp, 0, -1, true, ""},
        Expected{"mtp.0.enorm.weight", Role::kMtp, 0, -1, false, ""},
        Expected{"mtp.2.something_new", Role::kMtp, 2, -1, false, ""},
        // Not understood.
        Expected{"layers.5.attn.wq_a.weight", Role::kOther, -1, -1, false, ""},
        Expected{"layers.4.ffn.experts.8.w1.weight", Role::kOther, -1, -1, false, ""},
        Expected{"layers.4.ffn.experts.7.w4.weight", Role::kOther, -1, -1, false, ""},
        Expected{"layers.-1.attn.wq_a.weight", Role::kOther, -1, -1, false, ""},
        Expected{"layers.99999999999.attn.wq_a.weight", Role::kOther, -1, -1, false, ""},
        Expected{"layers.1", Role::kOther, -1, -1, false, ""},
        Expected{"model.layers.0.self_attn.q_proj.weight", Role::kOther, -1, -1, false, ""},
        Expected{"mtp.x", Role::kOther, -1, -1, false, ""},
        Expected{"", Role::kOther, -1, -1, false, ""}));

// Where the config denies what a checkpoint holds, names still say what it is: as the table of a
// config that has it.
TEST(DeepseekV4Family, UnderstandsNamesThatTheConfigDenies) {
  const DeepseekV4Config config = ParseDeepseekV4Config(TinyConfig());
  Json other = TinyConfig();
  for (Json& ratio : other.at("compress_ratios")) ratio = 0;
  other["num_hash_layers"] = 0;
  other["num_nextn_predict_layers"] = 0;
  const auto denying = MakeFamily(other);
  size_t denied = 0;
  const std::vector<std::string> required = denying->RequiredTensors();
  const std::set<std::string> known(required.begin(), required.end());
  for (const TensorRow& row : DeepseekV4Rows(config)) {
    EXPECT_EQ(denying->Classify(row.name), row.meaning) << row.name;
    denied += known.contains(row.name) ? 0 : 1;
  }
  EXPECT_GT(denied, 60u);
}

TEST(DeepseekV4Family, MtpLayersMayHoldMore) {
  const auto family = MakeFamily(TinyConfig());
  const TensorMeaning expert = family->Classify("mtp.7.ffn.experts.99.w1.weight");
  EXPECT_EQ(expert.role, Role::kMtp);
  EXPECT_EQ(expert.layer, 7);
  EXPECT_EQ(expert.expert, 99);
  EXPECT_EQ(expert.fused_group, "mtp.7.ffn.experts.99.w1w3");
  EXPECT_EQ(expert.projection, "w1");
  EXPECT_TRUE(family->Classify("mtp.7.e_proj.weight").linear);
  EXPECT_FALSE(family->Classify("layers.0.e_proj.weight").linear) << "of MTP layers alone";
  EXPECT_EQ(family->Classify("layers.0.enorm.weight").role, Role::kOther);
  const TensorMeaning newer = family->Classify("layers.3.attn.compressor.wnew.weight");
  EXPECT_EQ(newer.role, Role::kCompressor);
  EXPECT_EQ(newer.projection, "wnew");
  EXPECT_TRUE(newer.keeps_precision);
}

TEST(DeepseekV4Family, ItsCheckpointStoresWhatTheTableSays) {
  const Checkpoint checkpoint =
      Checkpoint::Open(std::filesystem::path(VERNIER_TEST_DATA) / "models/tiny-deepseek-v4");
  size_t tensors = 0;
  for (const TensorRow& row : DeepseekV4Rows(ParseDeepseekV4Config(checkpoint.config()))) {
    for (const TensorSpec& spec : ReleasedTensors(row)) {
      const size_t index = checkpoint.Find(spec.name);
      ASSERT_NE(index, Checkpoint::kNotFound) << spec.name;
      EXPECT_EQ(checkpoint.tensor(index).info.dtype, spec.dtype) << spec.name;
      EXPECT_EQ(checkpoint.tensor(index).info.shape, spec.shape) << spec.name;
      ++tensors;
    }
  }
  EXPECT_EQ(tensors, checkpoint.tensors().size());
}

TEST(DeepseekV4Family, SaysWhatEnginesDo) {
  const FamilyFacts facts = MakeFamily(TinyConfig())->Facts();
  EXPECT_THAT(facts.converted, ElementsAre(Role::kRoutedExpert));
  EXPECT_TRUE(facts.nvfp4_beside_native);
  EXPECT_EQ(facts.engine_code, EngineCode::kDeepseekV4);
}

TEST(DeepseekV4Family, Dims) {
  const ModelDims dims = MakeFamily(TinyConfig())->Dims();
  EXPECT_EQ(dims.layers, 5);
  EXPECT_EQ(dims.residual_streams, 4);
  EXPECT_EQ(dims.experts, 8);
  EXPECT_EQ(dims.expert_width, 128);
  EXPECT_EQ(dims.max_keys, 48);
  EXPECT_EQ(dims.key_compression, 4);
}

TEST(Registry, NamesTheKnownTypes) {
  const std::vector<std::string> types = KnownModelTypes();
  EXPECT_THAT(types, ::testing::IsSupersetOf({"deepseek_v3", "deepseek_v4", "llama", "mistral",
                                              "mixtral", "qwen2", "qwen3", "qwen3_5_moe",
                                              "qwen3_5_text", "qwen3_moe", "qwen3_next"}));
  EXPECT_TRUE(std::ranges::is_sorted(types));
  EXPECT_EQ(MakeFamily(TinyConfig())->model_type(), "deepseek_v4");
  Json config = TinyConfig();
  config["model_type"] = "deepseek_v9";
  EXPECT_VERNIER_ERROR(MakeFamily(config), ErrorCode::kUnknownModelType, "deepseek_v9");
  EXPECT_VERNIER_ERROR(MakeFamily(config), ErrorCode::kUnknownModelType, "deepseek_v4");
  config["model_type"] = 4;
  EXPECT_VERNIER_ERROR(MakeFamily(config), ErrorCode::kUnknownModelType, "4");
  EXPECT_VERNIER_ERROR(MakeFamily(Json::object()), ErrorCode::kBadConfig, "model_type");
}

}  // namespace
}  // namespace vernier::checkpoint

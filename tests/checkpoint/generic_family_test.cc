#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/source_model.h"
#include "tests/support/expect_error.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::vernier::testing::MakeTensor;
using ::vernier::testing::TempDir;

struct Guess {
  const char* name;
  Role role;
  bool linear = false;
  int layer = -1;
  int expert = -1;
  const char* fused_group = "";
};

const Guess kGuesses[] = {
    // Llama, Qwen
    {"model.embed_tokens.weight", Role::kEmbedding},
    {"lm_head.weight", Role::kLmHead, true},
    {"lm_head.bias", Role::kOther},
    {"model.norm.weight", Role::kNorm},
    {"model.layers.12.input_layernorm.weight", Role::kNorm, false, 12},
    {"model.layers.3.self_attn.q_norm.weight", Role::kNorm, false, 3},
    {"model.layers.3.self_attn.q_proj.weight", Role::kAttention, true, 3, -1,
     "model.layers.3.self_attn.qkv"},
    {"model.layers.3.self_attn.k_proj.weight", Role::kAttention, true, 3, -1,
     "model.layers.3.self_attn.qkv"},
    {"model.layers.3.self_attn.v_proj.weight", Role::kAttention, true, 3, -1,
     "model.layers.3.self_attn.qkv"},
    {"model.layers.3.self_attn.o_proj.weight", Role::kAttention, true, 3},
    {"model.layers.3.self_attn.q_proj.bias", Role::kAttentionAux, false, 3},
    {"model.layers.3.self_attn.k_proj.k_scale", Role::kAttentionAux, false, 3},
    {"model.layers.3.self_attn.sinks", Role::kAttentionAux, false, 3},
    {"model.layers.3.mlp.gate_proj.weight", Role::kDenseMlp, true, 3, -1,
     "model.layers.3.mlp.gate_up"},
    {"model.layers.3.mlp.up_proj.weight", Role::kDenseMlp, true, 3, -1,
     "model.layers.3.mlp.gate_up"},
    {"model.layers.3.mlp.down_proj.weight", Role::kDenseMlp, true, 3},
    {"model.language_model.layers.3.mlp.down_proj.weight", Role::kDenseMlp, true, 3},
    {"model.layers.3.mlp.down_proj.bias", Role::kDenseMlp, false, 3},
    {"model.layers.3.mlp.other.bias", Role::kOther, false, 3},
    // mixtures of experts
    {"model.layers.3.mlp.gate.weight", Role::kRouter, true, 3},
    {"model.layers.3.mlp.gate.e_score_correction_bias", Role::kRouter, false, 3},
    {"model.layers.3.block_sparse_moe.gate.weight", Role::kRouter, true, 3},
    {"model.layers.3.mlp.router.weight", Role::kRouter, true, 3},
    {"model.layers.3.mlp.shared_expert_gate.weight", Role::kRouter, true, 3},
    {"model.layers.3.mlp.experts.17.gate_proj.weight", Role::kRoutedExpert, true, 3, 17,
     "model.layers.3.mlp.experts.17.gate_up"},
    {"model.layers.3.block_sparse_moe.experts.7.w1.weight", Role::kRoutedExpert, true, 3, 7,
     "model.layers.3.block_sparse_moe.experts.7.w1w3"},
    {"model.layers.3.block_sparse_moe.experts.7.w2.weight", Role::kRoutedExpert, true, 3, 7},
    {"model.layers.3.block_sparse_moe.experts.7.w3.weight", Role::kRoutedExpert, true, 3, 7,
     "model.layers.3.block_sparse_moe.experts.7.w1w3"},
    {"model.layers.3.mlp.experts.gate_up_proj", Role::kRoutedExpert, false, 3},
    {"model.layers.3.mlp.shared_expert.up_proj.weight", Role::kSharedExpert, true, 3, -1,
     "model.layers.3.mlp.shared_expert.gate_up"},
    {"model.layers.3.mlp.shared_experts.down_proj.weight", Role::kSharedExpert, true, 3},
    {"model.layers.3.feed_forward.router.weight", Role::kRouter, true, 3},
    // DeepSeek-V3
    {"model.layers.3.self_attn.q_a_proj.weight", Role::kAttention, true, 3, -1,
     "model.layers.3.self_attn.q_a_kv_a"},
    {"model.layers.3.self_attn.kv_a_proj_with_mqa.weight", Role::kAttention, true, 3, -1,
     "model.layers.3.self_attn.q_a_kv_a"},
    {"model.layers.3.self_attn.q_b_proj.weight", Role::kAttention, true, 3},
    {"model.layers.3.self_attn.kv_b_proj.weight", Role::kAttention, true, 3},
    {"model.layers.3.self_attn.kv_a_layernorm.weight", Role::kNorm, false, 3},
    {"model.layers.3.self_attn.indexer.wq_b.weight", Role::kIndexer, true, 3},
    {"model.layers.3.self_attn.indexer.weights_proj.weight", Role::kIndexer, true, 3},
    // Qwen3.5
    {"model.language_model.layers.3.linear_attn.in_proj_z.weight", Role::kLinearAttention, true, 3,
     -1, "model.language_model.layers.3.linear_attn.in_proj_qkvz"},
    {"model.language_model.layers.3.linear_attn.in_proj_a.weight", Role::kLinearAttention, true, 3,
     -1, "model.language_model.layers.3.linear_attn.in_proj_ba"},
    {"model.language_model.layers.3.linear_attn.conv1d.weight", Role::kAttentionAux, false, 3},
    {"model.language_model.layers.3.linear_attn.A_log", Role::kAttentionAux, false, 3},
    {"model.language_model.layers.3.linear_attn.norm.weight", Role::kNorm, false, 3},
    // multi-token prediction: layers past the last one, or modules of that name
    {"model.layers.62.self_attn.o_proj.weight", Role::kMtp, true, 1},
    {"model.layers.61.eh_proj.weight", Role::kMtp, true, 0},
    {"mtp.layers.0.mlp.experts.2.down_proj.weight", Role::kMtp, true, 0, 2},
    {"model.mtp_layers.1.self_attn.o_proj.weight", Role::kMtp, true, 1},
    {"mtp.fc.weight", Role::kMtp, true, 0},
    // what is not the language model's, or says nothing
    {"vision_tower.encoder.layers.3.self_attn.q_proj.weight", Role::kTower, true, -1, -1,
     "vision_tower.encoder.layers.3.self_attn.qkv"},
    {"model.visual.blocks.3.mlp.down_proj.weight", Role::kTower, true},
    {"multi_modal_projector.linear_1.weight", Role::kTower, true},
    {"mm_projector.proj.0.bias", Role::kTower},
    {"model.layers.3.something.weight", Role::kOther, true, 3},
    {"something", Role::kOther},
    {"weight", Role::kOther},
    {"", Role::kOther},
    {"model.layers.", Role::kOther},
    {"model.layers.99999999999.mlp.down_proj.weight", Role::kDenseMlp, true, -1},
};

TEST(GenericFamily, GuessesFromNames) {
  const auto family = MakeGenericFamily({{"num_hidden_layers", 61}});
  for (const Guess& guess : kGuesses) {
    const TensorMeaning meaning = family->Classify(guess.name);
    EXPECT_EQ(RoleName(meaning.role), RoleName(guess.role)) << guess.name;
    EXPECT_EQ(meaning.linear, guess.linear) << guess.name;
    EXPECT_EQ(meaning.layer, guess.layer) << guess.name;
    EXPECT_EQ(meaning.expert, guess.expert) << guess.name;
    EXPECT_EQ(meaning.fused_group, guess.fused_group) << guess.name;
  }
}

TEST(GenericFamily, KeepsThePrecisionOfWhatDecides) {
  const auto family = MakeGenericFamily({{"num_hidden_layers", 61}});
  for (const char* name :
       {"model.layers.3.mlp.gate.weight", "model.layers.61.eh_proj.weight",
        "model.layers.61.shared_head.head.weight", "layers.2.attn.compressor.wkv.weight",
        "model.layers.3.self_attn.indexer.weights_proj.weight"}) {
    EXPECT_TRUE(family->Classify(name).keeps_precision) << name;
  }
  EXPECT_FALSE(family->Classify("model.layers.3.mlp.down_proj.weight").keeps_precision);
}

TEST(GenericFamily, LinearIsAPropertyOfTheNamesForm) {
  const auto family = MakeGenericFamily({{"num_hidden_layers", 4}});
  for (const char* name :
       {"transformer.h.0.self_attention.query_key_value.weight",
        "model.layers.0.linear_attn.in_proj_ba.weight", "mm_projector.proj.0.weight",
        "backbone.layers.0.mixer.in_proj.weight"}) {
    EXPECT_TRUE(family->Classify(name).linear) << name;
  }
  for (const char* name :
       {"model.embed_tokens.weight", "model.norm.weight",
        "model.layers.0.linear_attn.conv1d.weight", "model.layers.0.self_attn.rotary_emb.inv_freq",
        "model.layers.0.linear_attn.A_log"}) {
    EXPECT_FALSE(family->Classify(name).linear) << name;
  }
}

TEST(GenericFamily, KnowsWhatFalconAndGptNeoxNeed) {
  const auto required = [](const Json& config) {
    return MakeGenericFamily(config)->RequiredTensors();
  };
  using ::testing::Contains;
  using ::testing::Not;
  const auto old = required({{"model_type", "falcon"}, {"num_hidden_layers", 1}});
  EXPECT_THAT(old, Contains("transformer.h.0.input_layernorm.bias"));
  EXPECT_THAT(old, Not(Contains("transformer.h.0.ln_attn.weight")));
  const auto two = required(
      {{"model_type", "falcon"}, {"num_hidden_layers", 1}, {"new_decoder_architecture", true}});
  EXPECT_THAT(two, Contains("transformer.h.0.ln_mlp.weight"));
  EXPECT_THAT(two, Not(Contains("transformer.h.0.input_layernorm.weight")));
  const auto neox = required({{"model_type", "gpt_neox"}, {"num_hidden_layers", 2}});
  EXPECT_THAT(neox, Contains("gpt_neox.layers.1.attention.dense.weight"));
  EXPECT_TRUE(required({{"model_type", "gpt_neox"}, {"num_hidden_layers", 1 << 30}}).empty());
}

TEST(GenericFamily, ReadsTheUsualDimensions) {
  const Json mixture = {{"hidden_size", 4096},       {"num_hidden_layers", 32},
                        {"vocab_size", 32000},       {"num_local_experts", 8},
                        {"num_experts_per_tok", 2},  {"intermediate_size", 14336},
                        {"num_attention_heads", 32}, {"sliding_window", nullptr}};
  const ModelDims dims = MakeGenericFamily(mixture)->Dims();
  EXPECT_EQ(dims.hidden_size, 4096);
  EXPECT_EQ(dims.layers, 32);
  EXPECT_EQ(dims.vocab_size, 32000);
  EXPECT_EQ(dims.experts, 8);
  EXPECT_EQ(dims.experts_per_token, 2);
  EXPECT_EQ(dims.expert_width, 14336);
  EXPECT_EQ(dims.attention_heads, 32);
  EXPECT_EQ(dims.head_dim, 128);
  EXPECT_EQ(MakeGenericFamily({{"text_config", mixture}})->Dims().hidden_size, 4096);
}

TEST(GenericFamily, DimensionsThatMakeNoSenseAreZero) {
  const auto family = MakeGenericFamily({{"hidden_size", "big"},
                                         {"num_hidden_layers", -3},
                                         {"vocab_size", UINT64_MAX},
                                         {"text_config", 7}});
  EXPECT_EQ(family->Dims().hidden_size, 0);
  EXPECT_EQ(family->Dims().layers, 0);
  EXPECT_EQ(family->Dims().vocab_size, 0);
  EXPECT_EQ(family->Dims().expert_width, 0);
}

TEST(GenericFamily, AsksNothingOfACheckpoint) {
  Json config = {{"model_type", "gemma"}};
  const auto family = MakeAnyFamily(config);
  EXPECT_TRUE(family->guessed());
  EXPECT_EQ(family->refusal(), "");
  EXPECT_EQ(family->model_type(), "gemma");
  EXPECT_TRUE(family->RequiredTensors().empty());
  EXPECT_TRUE(family->PatchConfig(config).empty());
  EXPECT_EQ(config, Json({{"model_type", "gemma"}}));
}

TEST(GenericFamily, StandsInForAFamilyThatRefusesTheConfig) {
  const auto family = MakeAnyFamily({{"model_type", "llama"}});
  EXPECT_TRUE(family->guessed());
  EXPECT_EQ(family->model_type(), "llama");
  EXPECT_THAT(family->refusal(), ::testing::HasSubstr("vocab_size"));
}

TEST(GenericFamily, KnownModelsKeepTheirOwn) {
  EXPECT_FALSE(MakeAnyFamily(::vernier::testing::SyntheticDeepseekV4Config({}))->guessed());
  EXPECT_VERNIER_ERROR(MakeAnyFamily({{"model_type", "deepseek_v4"}}), ErrorCode::kBadConfig,
                       "config.json");
}

TEST(OpenAnySourceModel, TakesWhatOpenSourceModelRefuses) {
  const TempDir directory;
  const std::string name = "model.layers.0.mlp.down_proj.weight";
  const std::vector<::vernier::testing::TestTensor> tensors = {
      MakeTensor<float>(name, DType::kF32, {1, 2}, {1, 2})};
  for (const Json& config : {Json{{"model_type", "gemma"}}, Json::object()}) {
    ::vernier::testing::WriteCheckpoint(directory.path(), config, tensors, 1);
    const SourceModel source = OpenAnySourceModel(directory.path());
    EXPECT_TRUE(source.family->guessed());
    EXPECT_TRUE(source.layout.FindName(name)->linear);
    const ErrorCode code = config.empty() ? ErrorCode::kBadConfig : ErrorCode::kUnknownModelType;
    EXPECT_VERNIER_ERROR(OpenSourceModel(directory.path()), code, "model_type");
  }
}

}  // namespace
}  // namespace vernier::checkpoint

// Families in Hugging Face's names: what their configs imply against what checkpoints hold.
#include "checkpoint/families/hf_family.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/families/generic_names.h"
#include "checkpoint/families/hf_tensors.h"
#include "checkpoint/source_model.h"
#include "tests/support/expect_error.h"

namespace vernier::checkpoint {
namespace {

using ::testing::ElementsAre;

const std::filesystem::path kModels = std::filesystem::path(VERNIER_TEST_DATA) / "models";

Json ConfigOf(const std::string& model) { return ReadJsonFile(kModels / model / "config.json"); }

DecoderConfig ParseConfig(const Json& config) { return *MakeFamily(config)->Decoder(); }

std::vector<int64_t> WindowsOf(const DecoderConfig& config) {
  std::vector<int64_t> windows;
  for (const DecoderBlock& block : config.blocks) windows.push_back(block.attention.window);
  return windows;
}

// Folders of models in Hugging Face's names.
std::vector<std::string> Models() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kModels)) {
    const std::string name = entry.path().filename();
    if (name.find("deepseek-v4") == std::string::npos && entry.is_directory()) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(HfFamily, ListsExactlyTheTensorsOfItsCheckpoints) {
  ASSERT_GE(Models().size(), 20u);
  for (const std::string& name : Models()) {
    SCOPED_TRACE(name);
    const SourceModel model = OpenSourceModel(kModels / name);  // checks shapes
    EXPECT_FALSE(model.family->guessed());
    std::set<std::string> stored;
    for (const LogicalWeight& weight : model.layout.weights) {
      EXPECT_NE(weight.role, Role::kOther) << weight.name;
      const bool beside = weight.role == Role::kMtp || weight.role == Role::kTower;
      if (!beside) stored.insert(weight.name);
    }
    const std::vector<std::string> required = model.family->RequiredTensors();
    EXPECT_EQ(stored, std::set<std::string>(required.begin(), required.end()));
  }
}

// Two spellings of one thing: rows come of a config's blocks, guesses of names alone.
TEST(HfFamily, RowsSayWhatTheirNamesDo) {
  for (const std::string& name : Models()) {
    SCOPED_TRACE(name);
    const DecoderConfig config = ParseConfig(ConfigOf(name));
    for (const TensorRow& row : DecoderRows(config)) {
      EXPECT_EQ(row.meaning, GuessMeaning(row.name, config.layers())) << row.name;
    }
  }
}

TEST(HfFamily, GivesProjectionsToLinearLayersAlone) {
  const auto family = MakeFamily(ConfigOf("mixtral"));
  const std::string experts = "model.layers.0.block_sparse_moe.experts";
  const TensorMeaning down = family->Classify(experts + ".2.w2.weight");
  EXPECT_EQ(down.projection, "w2");
  EXPECT_EQ(down.experts_module, experts);
  EXPECT_EQ(family->Classify("lm_head.weight").projection, "lm_head");
  EXPECT_EQ(family->Classify("model.layers.0.self_attn.q_proj.weight").projection, "q_proj");
  EXPECT_EQ(family->Classify("model.norm.weight").projection, "");
  EXPECT_EQ(family->Classify("some.other.weight").projection, "other") << "whatever it is for";
}

TEST(HfFamily, GivesRolesAndGroups) {
  const auto family = MakeFamily(ConfigOf("deepseek_v3_fp8"));
  const auto role = [&](const char* name) { return family->Classify(name).role; };
  EXPECT_EQ(role("model.layers.0.mlp.gate_proj.weight"), Role::kDenseMlp);
  EXPECT_EQ(role("model.layers.1.mlp.gate.weight"), Role::kRouter);
  EXPECT_EQ(role("model.layers.1.mlp.gate.e_score_correction_bias"), Role::kRouter);
  EXPECT_EQ(role("model.layers.1.mlp.shared_experts.up_proj.weight"), Role::kSharedExpert);
  EXPECT_EQ(role("model.layers.1.mlp.experts.0.down_proj.weight"), Role::kRoutedExpert);
  EXPECT_EQ(role("model.layers.2.eh_proj.weight"), Role::kMtp);
  EXPECT_EQ(role("model.layers.0.self_attn.k_proj.k_scale"), Role::kAttentionAux);
  EXPECT_EQ(family->Classify("model.layers.0.self_attn.q_a_proj.weight").fused_group,
            family->Classify("model.layers.0.self_attn.kv_a_proj_with_mqa.weight").fused_group);
  // What the config does not imply.
  EXPECT_EQ(role("model.layers.0.mlp.experts.0.up_proj.weight"), Role::kOther);
  EXPECT_EQ(role("model.layers.1.mlp.experts.99.up_proj.weight"), Role::kOther);
  EXPECT_EQ(role("model.layers.0.self_attn.rotary_emb.inv_freq"), Role::kOther);
}

TEST(HfFamily, KnowsItsDimensions) {
  const ModelDims window = MakeFamily(ConfigOf("mistral_window"))->Dims();
  EXPECT_EQ(window.max_keys, 16);
  const ModelDims some = MakeFamily(ConfigOf("qwen2_window"))->Dims();
  EXPECT_EQ(some.max_keys, 0) << "a layer sees everything";
  const ModelDims latent = MakeFamily(ConfigOf("tiny-deepseek-v3"))->Dims();
  EXPECT_EQ(latent.head_dim, 48);
  EXPECT_EQ(latent.key_value_heads, 4);
  EXPECT_EQ(latent.experts, 8);
  EXPECT_EQ(latent.mlp_width, 256);
}

TEST(HfFamily, ReadsWindowsOfBothForms) {
  const DecoderConfig types = ParseConfig(ConfigOf("qwen2_window"));
  const DecoderConfig old = ParseConfig(ConfigOf("qwen2_window_old"));
  EXPECT_THAT(WindowsOf(types), ElementsAre(0, 16, 16));
  EXPECT_EQ(WindowsOf(types), WindowsOf(old));
  Json config = ConfigOf("qwen2_window");
  config["use_sliding_window"] = false;
  EXPECT_THAT(WindowsOf(ParseConfig(config)), ElementsAre(0, 0, 0));
  config = ConfigOf("mistral_window");
  config.erase("sliding_window");
  EXPECT_EQ(WindowsOf(ParseConfig(config)).front(), 4096);
  config["sliding_window"] = nullptr;
  EXPECT_EQ(WindowsOf(ParseConfig(config)).front(), 0);
}

TEST(HfFamily, ReadsRotaryEmbeddingsOfBothForms) {
  Json old = ConfigOf("tiny-llama");
  const RopeConfig now = ParseConfig(old).rope;
  EXPECT_EQ(now.type, RopeType::kLlama3);
  EXPECT_EQ(now.theta, 500000);
  EXPECT_EQ(now.original_positions, 256);
  old["rope_scaling"] = old["rope_parameters"];
  old["rope_scaling"].erase("rope_theta");
  old["rope_theta"] = 500000.0;
  old.erase("rope_parameters");
  const RopeConfig then = ParseConfig(old).rope;
  EXPECT_EQ(then.type, now.type);
  EXPECT_EQ(then.theta, now.theta);
  EXPECT_EQ(then.factor, now.factor);
  EXPECT_EQ(then.high_freq_factor, now.high_freq_factor);
  EXPECT_EQ(then.original_positions, now.original_positions);
}

TEST(HfFamily, DerivesWhatYarnLeavesOut) {
  Json config = ConfigOf("tiny-deepseek-v3");
  const RopeConfig equal = ParseConfig(config).rope;
  EXPECT_EQ(equal.attention_factor, 1.0) << "mscale and mscale_all_dim cancel";
  EXPECT_NEAR(equal.score_factor, 0.1 * std::log(40.0) + 1, 1e-12);
  Json& rope = config["rope_parameters"];
  rope.erase("mscale");
  rope.erase("mscale_all_dim");
  const RopeConfig plain = ParseConfig(config).rope;
  EXPECT_NEAR(plain.attention_factor, 0.1 * std::log(40.0) + 1, 1e-12);
  EXPECT_EQ(plain.score_factor, 1.0);
  rope.erase("factor");
  EXPECT_EQ(ParseConfig(config).rope.factor, 512.0 / 256);
}

// A change of a good config, and the field that the error must name.
struct BadFamilyField {
  const char* model;
  const char* pointer;
  Json value;  // null: removed
  const char* named;
};

TEST(HfFamily, NamesTheFieldAtFault) {
  const BadFamilyField kBadFields[] = {
      {"tiny-llama", "/hidden_size", nullptr, "hidden_size"},
      {"tiny-llama", "/num_key_value_heads", 3, "num_key_value_heads"},
      {"tiny-llama", "/head_dim", 33, "head_dim"},
      {"tiny-llama", "/hidden_act", "relu2", "hidden_act"},
      {"tiny-llama", "/attention_bias", "yes", "attention_bias"},
      {"tiny-llama", "/rope_parameters/rope_type", "dynamic", "rope_parameters.rope_type"},
      {"tiny-llama", "/rope_parameters/factor", nullptr, "rope_parameters.factor"},
      {"tiny-llama", "/rope_parameters/high_freq_factor", 0.5, "high_freq_factor"},
      {"tiny-llama", "/rope_parameters", 7, "rope_parameters"},
      {"tiny-llama", "/partial_rotary_factor", 0.5, "partial_rotary_factor"},
      {"qwen2_window", "/layer_types/0", "chunked_attention", "layer_types"},
      {"qwen2_window", "/layer_types", Json::array({"full_attention"}), "layer_types"},
      {"mixtral", "/num_experts_per_tok", 99, "num_experts_per_tok"},
      {"mixtral", "/num_local_experts", 99999, "num_local_experts"},
      {"tiny-qwen3-moe", "/mlp_only_layers", Json::array({3}), "mlp_only_layers"},
      {"tiny-qwen3-moe", "/decoder_sparse_step", 0, "decoder_sparse_step"},
      {"granite", "/residual_multiplier", 0, "residual_multiplier"},
      {"granite_bias", "/attention_multiplier", "small", "attention_multiplier"},
      {"olmo2", "/attention_bias", 1, "attention_bias"},
      {"glm4", "/partial_rotary_factor", 0.01, "partial_rotary_factor"},
      {"glm4_gelu", "/hidden_act", "relu2", "hidden_act"},
      {"phi3", "/attention_bias", true, "attention_bias"},
      {"phi3", "/rope_scaling", {{"type", "linear"}, {"factor", 2.0}}, "rope_scaling"},
      {"phi3_short", "/rope_scaling/short_factor/2", 0, "rope_scaling.short_factor"},
      {"phi3_short", "/rope_scaling/long_factor", Json::array({1.0}), "long_factor"},
      {"tiny-llama", "/rope_parameters/rope_type", "longrope", "rope_parameters.rope_type"},
      {"gemma3_text", "/attn_logit_softcapping", 50.0, "attn_logit_softcapping"},
      {"gemma3_text", "/sliding_window_pattern", 0, "sliding_window_pattern"},
      {"gemma3_rewritten", "/layer_types/1", "chunked_attention", "layer_types"},
      {"gemma3_rewritten", "/rope_parameters/sliding_attention/rope_type", "dynamic",
       "rope_parameters.rope_type"},
      {"gemma3", "/text_config/use_bidirectional_attention", true,
       "text_config.use_bidirectional_attention"},
      {"gemma3", "/text_config/final_logit_softcapping", 30.0, "final_logit_softcapping"},
      {"ministral3", "/rope_parameters/original_max_position_embeddings", nullptr,
       "original_max_position_embeddings"},
      {"mistral3", "/text_config/model_type", "qwen2", "text_config.model_type"},
      {"gpt_oss", "/rope_scaling", nullptr, "rope_scaling"},
      {"gpt_oss", "/swiglu_limit", 0, "swiglu_limit"},
      {"gpt_oss", "/hidden_act", "gelu", "hidden_act"},
      {"gpt_oss", "/num_experts_per_tok", 6, "num_experts_per_tok"},
      {"tiny-deepseek-v3", "/scoring_func", "softmax", "scoring_func"},
      {"tiny-deepseek-v3", "/topk_method", "greedy", "topk_method"},
      {"tiny-deepseek-v3", "/n_group", 3, "n_group"},
      {"tiny-deepseek-v3", "/topk_group", 5, "topk_group"},
      {"tiny-deepseek-v3", "/qk_rope_head_dim", 15, "qk_rope_head_dim"},
  };
  for (const BadFamilyField& bad : kBadFields) {
    SCOPED_TRACE(std::string(bad.model) + bad.pointer);
    Json config = ConfigOf(bad.model);
    const Json::json_pointer pointer(bad.pointer);
    if (bad.value.is_null()) {
      config.at(pointer.parent_pointer()).erase(pointer.back());
    } else {
      config[pointer] = bad.value;
    }
    EXPECT_VERNIER_ERROR(MakeFamily(config), ErrorCode::kBadConfig, bad.named);
  }
}

TEST(HfFamily, RefusesAConfigOfOtherSizes) {
  Json config = ConfigOf("tiny-llama");
  config["intermediate_size"] = 512;
  const Checkpoint checkpoint = Checkpoint::Open(kModels / "tiny-llama");
  const auto family = MakeFamily(config);
  EXPECT_VERNIER_ERROR(BuildModelLayout(checkpoint, *family), ErrorCode::kWrongShape, "mlp");
}

}  // namespace
}  // namespace vernier::checkpoint

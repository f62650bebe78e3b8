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

// Of a model with a vision tower: text_config says what the language model is, and the tower is
// carried.
TEST(HfFamily, FindsALanguageModelBesideATower) {
  const SourceModel model = OpenSourceModel(kModels / "qwen3_5_moe_vision");
  EXPECT_EQ(model.family->model_type(), "qwen3_5_moe");
  EXPECT_EQ(model.family->Dims().layers, 2);
  const auto meaning = [&](const char* name) { return model.family->Classify(name); };
  const std::string layer = "model.language_model.layers.0.";
  EXPECT_EQ(meaning("model.language_model.embed_tokens.weight").role, Role::kEmbedding);
  EXPECT_EQ(meaning((layer + "linear_attn.in_proj_qkv.weight").c_str()).fused_group,
            layer + "linear_attn.in_proj_qkvz");
  EXPECT_TRUE(meaning((layer + "linear_attn.in_proj_a.weight").c_str()).keeps_precision);
  EXPECT_TRUE(meaning((layer + "mlp.shared_expert_gate.weight").c_str()).keeps_precision);
  EXPECT_EQ(meaning((layer + "mlp.experts.4.up_proj.weight").c_str()).expert, 4);
  const TensorMeaning tower = meaning("model.visual.blocks.0.mlp.linear_fc1.weight");
  EXPECT_EQ(tower.role, Role::kTower);
  EXPECT_EQ(tower.layer, -1);
  EXPECT_TRUE(tower.linear);
  EXPECT_EQ(meaning("mtp.fc.weight").role, Role::kMtp);
}

TEST(HfFamily, TakesTiedEmbeddingsFromEitherConfig) {
  Json config = ConfigOf("qwen3_5_vision");
  EXPECT_TRUE(ParseConfig(config).tied_embeddings);
  config["text_config"].erase("tie_word_embeddings");
  EXPECT_TRUE(ParseConfig(config).tied_embeddings);
  config["text_config"]["tie_word_embeddings"] = false;
  EXPECT_FALSE(ParseConfig(config).tied_embeddings);
}

TEST(HfFamily, ReadsWhichLayersHaveADeltaNet) {
  const auto kinds = [](const Json& config) {
    std::vector<bool> linear;
    for (const DecoderBlock& block : ParseConfig(config).blocks) {
      linear.push_back(block.attention.kind == AttentionKind::kDeltaNet);
    }
    return linear;
  };
  EXPECT_THAT(kinds(ConfigOf("qwen3_5_vision")), ElementsAre(false, true, true));
  EXPECT_THAT(kinds(ConfigOf("qwen3_5_text")), ElementsAre(true, true, true, false));
  Json config = ConfigOf("qwen3_next");
  EXPECT_THAT(kinds(config), ElementsAre(true, true, false));
  config["full_attention_interval"] = 2;
  EXPECT_THAT(kinds(config), ElementsAre(true, false, true));
}

// Of Qwen3-Next no release says that it has a layer of multi-token prediction; Qwen3.5's do.
TEST(HfFamily, KnowsOfMtpLayersThatNoConfigAnnounces) {
  EXPECT_EQ(MakeFamily(ConfigOf("qwen3_next"))->Facts().unannounced_mtp_layers, 1);
  EXPECT_EQ(MakeFamily(ConfigOf("qwen3_5_moe_vision"))->Facts().unannounced_mtp_layers, 0);
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

TEST(HfFamily, ReadsRotationsOfAPartOfAHead) {
  const auto rotated = [](const Json& config) {
    const DecoderConfig decoder = ParseConfig(config);
    return decoder.rope.RotaryDim(decoder.block(0).attention.grouped_query.head_dim);
  };
  Json glm = ConfigOf("glm4_moe");
  EXPECT_EQ(rotated(glm), 10);
  glm.erase("partial_rotary_factor");
  EXPECT_EQ(rotated(glm), 10) << "half is the family's";
  glm["rope_parameters"] = {{"rope_type", "default"}, {"partial_rotary_factor", 0.9}};
  EXPECT_EQ(rotated(glm), 18);
  EXPECT_EQ(rotated(ConfigOf("glm4_moe_qk_norm")), 6);
  Json minimax = ConfigOf("minimax_m2");
  EXPECT_EQ(rotated(minimax), 12);
  minimax.erase("rotary_dim");
  EXPECT_EQ(rotated(minimax), 20) << "all";
}

TEST(HfFamily, ReadsWhichIndexersAreSharedOfAnyForm) {
  const auto shares = [](const Json& config) {
    std::string shared;
    for (const DecoderBlock& block : ParseConfig(config).blocks) {
      shared += block.attention.latent.indexer.shared ? 'S' : 'F';
    }
    return shared;
  };
  Json config = ConfigOf("glm_moe_dsa_shared");
  EXPECT_EQ(shares(config), "FSFS");
  config["indexer_types"] = {"full", "full", "shared", "shared"};
  EXPECT_EQ(shares(config), "FFSS");
  config.erase("indexer_types");
  EXPECT_EQ(shares(config), "FSFS") << "every second layer";
  config["index_skip_topk_offset"] = 2;
  EXPECT_EQ(shares(config), "FFSF");
  config["index_topk_pattern"] = "FSSF";
  EXPECT_EQ(shares(config), "FSSF");
  EXPECT_EQ(shares(ConfigOf("glm_moe_dsa")), "FFF");
}

TEST(HfFamily, KnowsWhichReleasesHoldMtpLayers) {
  EXPECT_EQ(ParseConfig(ConfigOf("glm4_moe")).mtp_layers, 1);
  EXPECT_EQ(ParseConfig(ConfigOf("deepseek_v32_fp8")).mtp_layers, 1);
  EXPECT_EQ(ParseConfig(ConfigOf("minimax_m2")).mtp_layers, 0) << "announced alone";
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
      {"qwen3_5_text", "/layer_types", Json::array({"full_attention"}), "layer_types"},
      {"qwen3_5_text", "/linear_num_value_heads", 5, "linear_num_value_heads"},
      {"qwen3_5_text", "/linear_key_head_dim", 0, "linear_key_head_dim"},
      {"qwen3_5_text", "/linear_value_head_dim", 1 << 30, "linear_value_head_dim"},
      {"qwen3_5_text", "/head_dim", 1 << 30, "head_dim"},
      {"qwen3_5_text", "/attn_output_gate", false, "attn_output_gate"},
      {"qwen3_5_text", "/rope_parameters/partial_rotary_factor", 0.01, "partial_rotary_factor"},
      {"qwen3_5_vision", "/text_config/hidden_act", "gelu", "text_config.hidden_act"},
      {"qwen3_5_vision", "/text_config/layer_types/1", "sliding_attention",
       "text_config.layer_types"},
      {"qwen3_5_vision", "/text_config/intermediate_size", nullptr,
       "text_config.intermediate_size"},
      {"qwen3_5_moe_vision", "/text_config/num_experts_per_tok", 6,
       "text_config.num_experts_per_tok"},
      {"qwen3_5_moe_vision", "/text_config/norm_topk_prob", false, "norm_topk_prob"},
      {"qwen3_next", "/full_attention_interval", 0, "full_attention_interval"},
      {"qwen3_next", "/shared_expert_intermediate_size", nullptr,
       "shared_expert_intermediate_size"},
      {"qwen3_next", "/mlp_only_layers", Json::array({9}), "mlp_only_layers"},
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
      {"glm4_moe", "/partial_rotary_factor", 0.45, "partial_rotary_factor"},
      {"glm4_moe_qk_norm", "/rope_parameters/partial_rotary_factor", 1.5,
       "rope_parameters.partial_rotary_factor"},
      {"glm4_moe", "/scoring_func", "softmax", "scoring_func"},
      {"glm4_moe", "/topk_group", 2, "topk_group"},
      {"glm4_moe", "/use_qk_norm", 1, "use_qk_norm"},
      {"minimax_m2", "/rotary_dim", 7, "rotary_dim"},
      {"minimax_m2", "/rotary_dim", 22, "rotary_dim"},
      {"minimax_m2", "/qk_norm_type", "per_head", "qk_norm_type"},
      {"minimax_m2", "/use_routing_bias", false, "use_routing_bias"},
      {"minimax_m2", "/attn_type_list/1", 0, "attn_type_list"},
      {"minimax_m2", "/shared_intermediate_size", 8, "shared_intermediate_size"},
      {"minimax_m2", "/sliding_window", 16, "sliding_window"},
      {"minimax_m2", "/layernorm_mlp_beta", 3.5, "layernorm_mlp_beta"},
      {"kimi_k2", "/scoring_func", "softmax", "scoring_func"},
      {"kimi_k25", "/text_config/kv_lora_rank", nullptr, "text_config.kv_lora_rank"},
      {"deepseek_v32", "/index_topk", 0, "index_topk"},
      {"deepseek_v32", "/index_head_dim", 6, "index_head_dim"},
      {"deepseek_v32", "/q_lora_rank", nullptr, "q_lora_rank"},
      {"deepseek_v32", "/rope_interleave", false, "rope_interleave"},
      {"deepseek_v32", "/indexer_rope_interleave", true, "indexer_rope_interleave"},
      {"deepseek_v32", "/index_topk_freq", 4, "index_topk_freq"},
      {"deepseek_v32", "/mlp_bias", true, "mlp_bias"},
      {"deepseek_v32_rewritten", "/mlp_layer_types/1", "routed", "mlp_layer_types"},
      {"deepseek_v32_rewritten", "/mlp_layer_types", Json::array({"dense"}), "mlp_layer_types"},
      {"glm_moe_dsa", "/indexer_rope_interleave", false, "indexer_rope_interleave"},
      {"glm_moe_dsa", "/index_topk_pattern", "FFX", "index_topk_pattern"},
      {"glm_moe_dsa_shared", "/indexer_types/0", "shared", "indexer_types"},
      {"glm_moe_dsa_shared", "/indexer_types", Json::array({"full"}), "indexer_types"},
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

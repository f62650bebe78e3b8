// Gemma 3, alone or beside a vision tower: norms before and behind attention and MLP, windows with
// a rotary embedding of their own in most layers.
#include <cmath>
#include <string>

#include "checkpoint/config_facts.h"
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

constexpr double kGlobalTheta = 1e6, kLocalTheta = 1e4;
constexpr int64_t kLocalWindow = 4096;  // where a file names none
constexpr int64_t kWindowPattern = 6;   // every how many-th layer sees everything
constexpr double kGemma3Scalar = 256;   // whose root scores are divided by
constexpr NestedPlace kGemma3Place = {.model = "language_model.model",
                                      .head = "language_model.lm_head"};

// What releases beside a vision tower leave to transformers' defaults.
Json WithGemma3Defaults(const Json& text) {
  Json fields = {{"vocab_size", 262208},
                 {"num_attention_heads", 8},
                 {"num_key_value_heads", 4},
                 {"head_dim", 256},
                 {"hidden_activation", "gelu_pytorch_tanh"},
                 {"tie_word_embeddings", true}};
  if (text.is_object()) fields.update(text);
  return fields;
}

// The rotary embedding of a kind of layer, which stands below rope_parameters or, in the form of
// the releases, in fields of the config.
RopeConfig ReadKindOfRope(const Json& text, const std::string& path, const char* kind,
                          const char* theta_field, double default_theta) {
  Json view = Json::object();
  const auto take = [&](const char* field, const char* as) {
    if (const auto found = text.find(field); found != text.end()) view[as] = *found;
  };
  take("max_position_embeddings", "max_position_embeddings");
  take(theta_field, "rope_theta");
  if (kind != kSlidingAttention) take("rope_scaling", "rope_scaling");
  const auto parameters = text.find("rope_parameters");
  if (parameters == text.end() || !parameters->is_object() || !parameters->contains(kind)) {
    return ParseRopeConfig(ConfigReader(view, path), {.theta = default_theta});
  }
  view["rope_parameters"] = (*parameters)[kind];
  return ParseRopeConfig(ConfigReader(view, path + kind + "."), {.theta = default_theta});
}

void ReadGemma3Attention(const ConfigReader& reader, const Json& text, const std::string& path,
                         DecoderConfig* config) {
  reader.RequireValue("use_bidirectional_attention", false);
  reader.RequireValue("attn_logit_softcapping", nullptr);
  ReadGroupedQueryHeads(reader, /*default_head_dim=*/{}, config);
  ReadWindow(reader, kLocalWindow, config);
  if (config->blocks.front().attention.window == 0) reader.Fail("sliding_window", "is null");
  ReadWindowPattern(reader, reader.IntegerOr("sliding_window_pattern", kWindowPattern), config);
  config->rope = ReadKindOfRope(text, path, "full_attention", "rope_theta", kGlobalTheta);
  const RopeConfig local =
      ReadKindOfRope(text, path, kSlidingAttention.data(), "rope_local_base_freq", kLocalTheta);
  const double scale = 1 / std::sqrt(reader.NumberOr("query_pre_attn_scalar", kGemma3Scalar));
  const bool bias = reader.BooleanOr("attention_bias", false);
  for (DecoderBlock& block : config->blocks) {
    if (block.attention.window != 0) block.attention.rope = local;
    block.attention.grouped_query.scale = scale;
    block.attention.grouped_query.qk_norm = true;
    block.attention.grouped_query.qkv_bias = bias;
    block.attention.grouped_query.output_bias = bias;
  }
}

DecoderConfig ParseGemma3Config(const Json& json) {
  const ConfigFact found = FindTextConfig(json);
  const Json text = WithGemma3Defaults(*found.value);
  const std::string path = found.pointer.empty() ? "" : found.pointer.substr(1) + ".";
  const ConfigReader reader(text, path);
  DecoderConfig config = ReadDecoderSizes(reader);
  config.gate = ReadGate(reader, "hidden_activation");
  config.unit_offset_norms = true;
  config.names.attention_post_norm = "post_attention_layernorm";
  config.names.ffn_norm = "pre_feedforward_layernorm";
  config.names.ffn_post_norm = "post_feedforward_layernorm";
  config.multipliers.embedding = std::sqrt(static_cast<double>(config.hidden_size));
  config.multipliers.rounds_embedding = true;
  if (!found.pointer.empty()) reader.RequireValue("final_logit_softcapping", nullptr);
  config.multipliers.logits_softcap = reader.NumberOr("final_logit_softcapping", 0);
  ReadGemma3Attention(reader, text, path, &config);
  ReadNesting(json, kGemma3Place, &config);
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeGemma3Family(const Json& config) {
  return MakeHfFamily("gemma3", ParseGemma3Config(config));
}

std::unique_ptr<Family> MakeGemma3TextFamily(const Json& config) {
  return MakeHfFamily("gemma3_text", ParseGemma3Config(config));
}

}  // namespace vernier::checkpoint

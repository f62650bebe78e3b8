// Ministral 3: Mistral's layers with YaRN and queries that grow with their position; and Mistral 3,
// a vision tower and one of both.
#include "base/json.h"
#include "checkpoint/config_facts.h"
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"
#include "checkpoint/families/mistral.h"

namespace vernier::checkpoint {
namespace {

constexpr int64_t kMinistralHeadDim = 128;
constexpr double kMinistralEps = 1e-5;
constexpr NestedPlace kMistral3Place = {.model = "language_model.model",
                                        .head = "language_model.lm_head"};

// Queries' growth, which stands with the rotary embedding.
QueryGrowth ReadQueryGrowth(const ConfigReader& reader) {
  const std::optional<ConfigReader> rope = RopeSection(reader);
  if (!rope) reader.Fail("rope_parameters", "is missing");
  const double beta = rope->NumberOr("llama_4_scaling_beta", 0, /*allow_zero=*/true);
  if (beta == 0) return {};
  return {.beta = beta, .positions = rope->Number("original_max_position_embeddings")};
}

DecoderConfig ParseMistral3Config(const Json& json) {
  const ConfigReader reader = TextReader(json);
  const Json* type = reader.Find("model_type");
  const bool is_ministral = type != nullptr && *type == "ministral3";
  if (type != nullptr && !is_ministral) reader.RequireValue("model_type", "mistral");
  DecoderConfig config = is_ministral ? ReadMinistral3(reader) : ReadMistral(reader);
  config.gguf = {};  // not with a tower
  ReadNesting(json, kMistral3Place, &config);
  return config;
}

}  // namespace

DecoderConfig ReadMinistral3(const ConfigReader& reader) {
  DecoderConfig config = ReadDecoderSizes(reader);
  config.norm_eps = reader.NumberOr("rms_norm_eps", kMinistralEps);
  ReadGroupedQueryHeads(reader, kMinistralHeadDim, &config);
  config.rope = ParseRopeConfig(reader);
  ReadWindow(reader, /*fallback=*/0, &config);
  const QueryGrowth growth = ReadQueryGrowth(reader);
  for (DecoderBlock& block : config.blocks) block.attention.grouped_query.growth = growth;
  return config;
}

std::unique_ptr<Family> MakeMinistral3Family(const Json& config) {
  return MakeHfFamily("ministral3", ReadMinistral3(ConfigReader(config)));
}

std::unique_ptr<Family> MakeMistral3Family(const Json& config) {
  return MakeHfFamily("mistral3", ParseMistral3Config(config));
}

}  // namespace vernier::checkpoint

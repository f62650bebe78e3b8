#include "checkpoint/families/decoder_fields.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "checkpoint/config_facts.h"

namespace vernier::checkpoint {
namespace {

constexpr int64_t kDefaultMaxWindowLayers = 28;

constexpr std::string_view kFull = "full_attention";

// Takes the window from layers that have none by layer_types.
void ReadLayerTypes(const ConfigReader& reader, const Json& types, DecoderConfig* config) {
  if (!types.is_array() || types.size() != config->blocks.size()) {
    reader.Fail("layer_types", "is no list with an entry for each of the " +
                                   std::to_string(config->layers()) + " layers");
  }
  auto block = config->blocks.begin();
  for (const Json& type : types) {
    const std::string name = type.is_string() ? type.get<std::string>() : std::string();
    if (name != kFull && name != kSlidingAttention) {
      reader.Fail("layer_types", "holds " + type.dump() + "; known are \"" + std::string(kFull) +
                                     "\" and \"" + std::string(kSlidingAttention) + "\"");
    }
    if (name == kFull) block->attention.window = 0;
    ++block;
  }
}

}  // namespace

ConfigReader TextReader(const Json& json) {
  const ConfigFact text = FindTextConfig(json);
  if (text.pointer.empty()) return ConfigReader(json);
  std::string path = text.pointer.substr(1) + ".";
  std::ranges::replace(path, '/', '.');
  return ConfigReader(*text.value, path);
}

void ReadNesting(const Json& json, const NestedPlace& place, DecoderConfig* config) {
  if (FindTextConfig(json).pointer.empty()) return;
  config->names.Place(place.model, place.head);
  config->tied_embeddings = FindTiedEmbeddings(json).value_or(config->tied_embeddings);
}

DecoderConfig ReadDecoderSizes(const ConfigReader& reader) {
  DecoderConfig config;
  config.gate = ReadGate(reader, "hidden_act");
  config.vocab_size = reader.Integer("vocab_size");
  config.hidden_size = reader.Integer("hidden_size");
  const int64_t layers = reader.Integer("num_hidden_layers", 1, kMaxLayers);
  DecoderBlock block;
  block.attention.heads = reader.Integer("num_attention_heads");
  block.ffn.width = reader.Integer("intermediate_size");
  config.blocks.assign(static_cast<size_t>(layers), block);
  config.norm_eps = reader.NumberOr("rms_norm_eps", 1e-6);
  config.tied_embeddings = reader.BooleanOr("tie_word_embeddings", false);
  return config;
}

GateConfig ReadGate(const ConfigReader& reader, std::string_view key) {
  const Json* field = reader.Find(key);
  if (field == nullptr) return {};
  const std::string name = field->is_string() ? field->get<std::string>() : std::string();
  if (name == "silu") return {};
  if (name == "gelu") return {.kind = GateKind::kGelu};
  if (name == "gelu_pytorch_tanh") return {.kind = GateKind::kGeluTanh};
  reader.Fail(key, "is " + field->dump() + "; known are silu, gelu and gelu_pytorch_tanh");
}

void ReadGroupedQueryHeads(const ConfigReader& reader, std::optional<int64_t> default_head_dim,
                           DecoderConfig* config) {
  const int64_t heads = config->blocks.front().attention.heads;
  GroupedQueryConfig attention;
  attention.key_value_heads = reader.IntegerOr("num_key_value_heads", heads);
  attention.head_dim =
      reader.IntegerOr("head_dim", default_head_dim.value_or(config->hidden_size / heads));
  if (heads % attention.key_value_heads != 0) {
    reader.Fail("num_key_value_heads", "is " + std::to_string(attention.key_value_heads) +
                                           ", which does not divide " + std::to_string(heads) +
                                           " heads");
  }
  if (attention.head_dim % 2 != 0 || attention.head_dim == 0) {
    reader.Fail("head_dim", "is " + std::to_string(attention.head_dim) +
                                "; a rotary embedding needs an even number of channels");
  }
  for (DecoderBlock& block : config->blocks) block.attention.grouped_query = attention;
}

void ReadPartialRope(const ConfigReader& reader, RopeDefaults defaults, DecoderConfig* config) {
  const int64_t head_dim = config->blocks.front().attention.grouped_query.head_dim;
  const bool counted = reader.Find("rotary_dim") != nullptr;
  if (counted) {
    defaults.partial_factor = static_cast<double>(reader.Integer("rotary_dim", 1, head_dim)) /
                              static_cast<double>(head_dim);
  }
  config->rope = ParseRopeConfig(reader, defaults);
  const int64_t rotated = config->rope.RotaryDim(head_dim);
  if (rotated == 0 || rotated % 2 != 0) {
    reader.Fail(counted ? "rotary_dim" : "partial_rotary_factor",
                "rotates " + std::to_string(rotated) + " of " + std::to_string(head_dim) +
                    " channels; a rotary embedding needs an even number of them");
  }
}

void ReadWindow(const ConfigReader& reader, int64_t fallback, DecoderConfig* config) {
  const int64_t absent = reader.Has("sliding_window") ? 0 : fallback;
  const int64_t window = reader.IntegerOr("sliding_window", absent);
  for (DecoderBlock& block : config->blocks) block.attention.window = window;
}

void ReadWindowPattern(const ConfigReader& reader, int64_t pattern, DecoderConfig* config) {
  if (const Json* types = reader.Find("layer_types")) return ReadLayerTypes(reader, *types, config);
  for (int64_t layer = pattern - 1; layer < config->layers(); layer += pattern) {
    config->blocks[static_cast<size_t>(layer)].attention.window = 0;
  }
}

void ReadWindowsByLayer(const ConfigReader& reader, DecoderConfig* config) {
  if (!reader.BooleanOr("use_sliding_window", false)) return;
  ReadWindow(reader, kQwenWindow, config);
  if (const Json* types = reader.Find("layer_types")) return ReadLayerTypes(reader, *types, config);
  const int64_t first = reader.IntegerOr("max_window_layers", kDefaultMaxWindowLayers, 0);
  for (int64_t layer = 0; layer < std::min(first, config->layers()); ++layer) {
    config->blocks[static_cast<size_t>(layer)].attention.window = 0;
  }
}

ExpertsConfig ReadExperts(const ConfigReader& reader, const ExpertFields& fields,
                          const DecoderConfig& config) {
  ExpertsConfig experts;
  experts.count = reader.Integer(fields.count, 1, kMaxExperts);
  const int64_t layers = config.layers() + config.mtp_layers;
  if (experts.count * layers > kMaxExpertsOfAllLayers) {
    reader.Fail(fields.count, "is " + std::to_string(experts.count) + " in each of " +
                                  std::to_string(layers) + " layers, more than " +
                                  std::to_string(kMaxExpertsOfAllLayers) + " in all");
  }
  experts.per_token = reader.Integer(fields.per_token, 1, experts.count);
  experts.width = reader.Integer(fields.width);
  return experts;
}

void RouteBlocks(const ExpertsConfig& experts, const std::vector<bool>& routed,
                 DecoderConfig* config) {
  for (size_t layer = 0; layer < config->blocks.size(); ++layer) {
    if (routed[layer]) config->blocks[layer].ffn = {.kind = FfnKind::kRouted, .experts = experts};
  }
}

}  // namespace vernier::checkpoint

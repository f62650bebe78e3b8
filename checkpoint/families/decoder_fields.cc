#include "checkpoint/families/decoder_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "checkpoint/config_facts.h"

namespace vernier::checkpoint {
namespace {

constexpr int64_t kDefaultMaxWindowLayers = 28;

constexpr std::string_view kFull = "full_attention";

// Takes the window from layers that have none by layer_types.
void ReadLayerTypes(const ConfigReader& reader, DecoderConfig* config) {
  const std::vector<size_t> types =
      ReadEachLayer(reader, "layer_types", config->layers(), {kFull, kSlidingAttention});
  for (size_t layer = 0; layer < types.size(); ++layer) {
    if (types[layer] == 0) config->blocks[layer].attention.window = 0;
  }
}

}  // namespace

std::vector<size_t> ReadEachLayer(const ConfigReader& reader, const char* field, int64_t layers,
                                  const std::vector<std::string_view>& names) {
  const Json& types = reader.Require(field);
  if (!types.is_array() || types.size() != static_cast<size_t>(layers)) {
    reader.Fail(field,
                "is no list with an entry for each of the " + std::to_string(layers) + " layers");
  }
  std::vector<size_t> found;
  for (const Json& type : types) {
    const auto name = std::ranges::find_if(names, [&](std::string_view n) { return type == n; });
    if (name == names.end()) {
      reader.Fail(field, fmt::format("holds {}; known are \"{}\"", type.dump(),
                                     fmt::join(names, "\" and \"")));
    }
    found.push_back(static_cast<size_t>(name - names.begin()));
  }
  return found;
}

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

DecoderConfig ReadDecoderSizes(const ConfigReader& reader, const char* ffn_width) {
  DecoderConfig config;
  config.gate = ReadGate(reader, "hidden_act");
  config.vocab_size = reader.Integer("vocab_size");
  config.hidden_size = reader.Integer("hidden_size");
  const int64_t layers = reader.Integer("num_hidden_layers", 1, kMaxLayers);
  DecoderBlock block;
  block.attention.heads = reader.Integer("num_attention_heads");
  block.ffn.width = reader.Integer(ffn_width);
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
  if (reader.Find("layer_types") != nullptr) return ReadLayerTypes(reader, config);
  for (int64_t layer = pattern - 1; layer < config->layers(); layer += pattern) {
    config->blocks[static_cast<size_t>(layer)].attention.window = 0;
  }
}

void ReadWindowsByLayer(const ConfigReader& reader, DecoderConfig* config) {
  if (!reader.BooleanOr("use_sliding_window", false)) return;
  ReadWindow(reader, kQwenWindow, config);
  if (reader.Find("layer_types") != nullptr) return ReadLayerTypes(reader, config);
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

std::vector<bool> ReadSparseLayers(const ConfigReader& reader, int64_t layers) {
  const int64_t step = reader.IntegerOr("decoder_sparse_step", 1);
  std::vector<bool> routed;
  for (int64_t layer = 0; layer < layers; ++layer) routed.push_back((layer + 1) % step == 0);
  const Json* dense = reader.Find("mlp_only_layers");
  if (dense == nullptr) return routed;
  for (const Json& layer : *dense) {
    if (!layer.is_number_integer() || layer < 0 || layer >= layers) {
      reader.Fail("mlp_only_layers", "holds " + layer.dump() + ", which is no layer");
    }
    routed[layer.get<size_t>()] = false;
  }
  return routed;
}

void RouteBlocks(const ExpertsConfig& experts, const std::vector<bool>& routed,
                 DecoderConfig* config) {
  for (size_t layer = 0; layer < config->blocks.size(); ++layer) {
    if (routed[layer]) config->blocks[layer].ffn = {.kind = FfnKind::kRouted, .experts = experts};
  }
}

}  // namespace vernier::checkpoint

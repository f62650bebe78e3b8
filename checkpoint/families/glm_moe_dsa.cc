// GLM-5: DeepSeek-V3.2's layers, some of which may see what an earlier layer's indexer chose.
#include <algorithm>
#include <string>
#include <utility>

#include "checkpoint/families/deepseek_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

// Those of transformers' configuration (configuration_glm_moe_dsa.py).
constexpr double kGlmDsaNormEps = 1e-5;
constexpr int64_t kFirstSkippingLayers = 2;

// An entry a layer, "full" or "shared", or a string of their first letters; whether it shares.
std::vector<bool> ReadTypes(const ConfigReader& reader, const char* field, int64_t layers) {
  const Json& types = reader.Require(field);
  std::vector<bool> shares;
  const auto add = [&](bool full, bool shared, const std::string& entry) {
    if (full == shared) reader.Fail(field, "holds " + entry + ", neither full nor shared");
    shares.push_back(shared);
  };
  if (types.is_string()) {
    for (const char type : types.get<std::string>()) {
      add(type == 'F', type == 'S', std::string(1, type));
    }
  } else {
    for (const Json& type : types) add(type == "full", type == "shared", type.dump());
  }
  if (static_cast<int64_t>(shares.size()) < layers) {
    reader.Fail(field, "has no entry for each of the " + std::to_string(layers) + " layers");
  }
  return shares;
}

// By indexer_types, else by index_topk_pattern, else every index_topk_freq-th layer has its own
// from layer index_skip_topk_offset - 1 on.
std::vector<bool> ReadSharingLayers(const ConfigReader& reader, int64_t layers) {
  constexpr const char* kOffset = "index_skip_topk_offset";
  const auto checked = [&](std::vector<bool> shares, const char* field) {
    if (shares.front()) reader.Fail(field, "lets the first layer share another's indexer");
    return shares;
  };
  for (const char* field : {"indexer_types", "index_topk_pattern"}) {
    if (reader.Find(field) != nullptr) return checked(ReadTypes(reader, field, layers), field);
  }
  const int64_t every = std::max<int64_t>(reader.IntegerOr("index_topk_freq", 1, 0), 1);
  const int64_t offset = reader.IntegerOr(kOffset, kFirstSkippingLayers, 0);
  std::vector<bool> shares;
  for (int64_t layer = 0; layer < layers; ++layer) {
    shares.push_back(std::max<int64_t>(layer - offset + 1, 0) % every != 0);
  }
  return checked(std::move(shares), kOffset);
}

DecoderConfig ParseGlmMoeDsaConfig(const Json& json) {
  const ConfigReader reader(json);
  reader.RequireValue("indexer_rope_interleave", true);
  DecoderConfig config = ReadSparseDeepseek(reader);
  config.norm_eps = reader.NumberOr("rms_norm_eps", kGlmDsaNormEps);
  IndexerConfig indexer = ReadIndexer(reader, config);
  indexer.interleaved = true;
  const std::vector<bool> shares = ReadSharingLayers(reader, config.layers());
  for (size_t layer = 0; layer < config.blocks.size(); ++layer) {
    indexer.shared = shares[layer];
    config.blocks[layer].attention.latent.indexer = indexer;
  }
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeGlmMoeDsaFamily(const Json& config) {
  return MakeHfFamily("glm_moe_dsa", ParseGlmMoeDsaConfig(config));
}

}  // namespace vernier::checkpoint

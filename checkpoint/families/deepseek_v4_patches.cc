#include "checkpoint/families/deepseek_v4_patches.h"

#include <cmath>
#include <string>
#include <string_view>
#include <utility>

#include "checkpoint/families/config_reader.h"

namespace vernier::checkpoint {
namespace {

constexpr int64_t kMaxPatchedLayers = 100'000;
constexpr int64_t kSparseRate = 4;
constexpr int64_t kHeavyRate = 128;
constexpr std::string_view kSparse = "compressed_sparse_attention";
constexpr std::string_view kHeavy = "heavily_compressed_attention";

class Patcher {
 public:
  explicit Patcher(Json* config) : config_(config) {}

  ConfigReader Read() const { return ConfigReader(*config_); }
  const Json* Find(std::string_view key) const { return Read().Find(key); }

  // `path` is a JSON pointer whose parent exists.
  void Set(const std::string& path, Json after, std::string reason) {
    const Json::json_pointer pointer(path);
    Json before = config_->contains(pointer) ? config_->at(pointer) : Json();
    if (before == after) return;
    (*config_)[pointer] = after;
    patches_.push_back({path, std::move(before), std::move(after), std::move(reason)});
  }

  void Remove(const std::string& key, std::string reason) {
    const auto it = config_->find(key);
    if (it == config_->end()) return;
    patches_.push_back({"/" + key, *it, Json(), std::move(reason)});
    config_->erase(it);
  }

  std::vector<ConfigPatch> Take() { return std::move(patches_); }

 private:
  Json* config_;
  std::vector<ConfigPatch> patches_;
};

// The list `key` of at least `layers` names.
const Json& RequireLayerList(const ConfigReader& reader, std::string_view key, int64_t layers) {
  const Json& list = reader.Require(key);
  if (!list.is_array() || static_cast<int64_t>(list.size()) < layers) {
    reader.Fail(key,
                "is no list with an entry for each of the " + std::to_string(layers) + " layers");
  }
  return list;
}

// A rate from compress_rates, from the older top-level field, or the released models' own.
int64_t CompressRate(const ConfigReader& reader, std::string_view layer_type,
                     std::string_view older_key, int64_t fallback) {
  if (reader.Find(older_key) != nullptr) return reader.Integer(older_key);
  const Json* rates = reader.Find("compress_rates");
  if (rates == nullptr) return fallback;
  return ConfigReader(*rates, "compress_rates.").IntegerOr(layer_type, fallback);
}

void RebuildCompressRatios(Patcher* patcher) {
  const ConfigReader reader = patcher->Read();
  if (reader.Find("compress_ratios") != nullptr || reader.Find("layer_types") == nullptr) return;
  const int64_t layers = reader.Integer("num_hidden_layers", 1, kMaxPatchedLayers);
  const int64_t mtp_layers = reader.IntegerOr("num_nextn_predict_layers", 0, 0, kMaxPatchedLayers);
  const int64_t sparse = CompressRate(reader, kSparse, "compress_rate_csa", kSparseRate);
  const int64_t heavy = CompressRate(reader, kHeavy, "compress_rate_hca", kHeavyRate);
  const Json& types = RequireLayerList(reader, "layer_types", layers);
  Json ratios = Json::array();
  for (int64_t i = 0; i < layers; ++i) {
    const Json& type = types[static_cast<size_t>(i)];
    if (type == kSlidingAttention) {
      ratios.push_back(0);
    } else if (type == kSparse) {
      ratios.push_back(sparse);
    } else if (type == kHeavy) {
      ratios.push_back(heavy);
    } else {
      reader.Fail("layer_types", "holds the unknown type " + type.dump());
    }
  }
  for (int64_t i = 0; i < mtp_layers; ++i) ratios.push_back(0);
  patcher->Set("/compress_ratios", std::move(ratios),
               "rebuilt from layer_types and compress_rates; engines read compress_ratios");
}

void RebuildHashLayers(Patcher* patcher) {
  const ConfigReader reader = patcher->Read();
  if (reader.Find("num_hash_layers") != nullptr || reader.Find("mlp_layer_types") == nullptr) {
    return;
  }
  const int64_t layers = reader.Integer("num_hidden_layers", 1, kMaxPatchedLayers);
  const Json& types = RequireLayerList(reader, "mlp_layer_types", layers);
  int64_t hash_layers = 0;
  for (int64_t i = 0; i < layers; ++i) {
    const Json& type = types[static_cast<size_t>(i)];
    if (type != "hash_moe" && type != "moe") {
      reader.Fail("mlp_layer_types", "holds the unknown type " + type.dump());
    }
    if (type == "moe") continue;
    if (hash_layers < i) reader.Fail("mlp_layer_types", "has a hash_moe layer after a moe layer");
    ++hash_layers;
  }
  patcher->Set("/num_hash_layers", hash_layers,
               "rebuilt from mlp_layer_types; engines read num_hash_layers");
}

void RebuildRopeHeadDim(Patcher* patcher) {
  const ConfigReader reader = patcher->Read();
  if (reader.Find("qk_rope_head_dim") != nullptr ||
      reader.Find("partial_rotary_factor") == nullptr) {
    return;
  }
  const double channels =
      static_cast<double>(reader.Integer("head_dim")) * reader.Number("partial_rotary_factor");
  if (channels > static_cast<double>(ConfigReader::kMaxSize)) {
    reader.Fail("partial_rotary_factor", "makes more channels than any head has");
  }
  patcher->Set("/qk_rope_head_dim", static_cast<int64_t>(std::floor(channels)),
               "rebuilt from partial_rotary_factor; engines read qk_rope_head_dim");
}

bool IsNestedRope(const Json* rope) {
  if (rope == nullptr || !rope->is_object()) return false;
  const auto has_object = [rope](std::string_view key) {
    const auto it = rope->find(key);
    return it != rope->end() && it->is_object();
  };
  return has_object("main") && has_object("compress");
}

// The engines' rope_scaling for the compressed layers; null when they are not scaled.
Json FlatYarn(const Json& compress, const std::string& path) {
  const ConfigReader reader(compress, path);
  const Json* type = reader.Find("rope_type");
  if (type == nullptr) type = reader.Find("type");
  if (type == nullptr || *type == "default") return nullptr;
  if (*type != "yarn") reader.Fail("rope_type", "is " + type->dump() + ", not \"yarn\"");
  Json flat = {{"type", "yarn"}};
  for (const std::string_view key :
       {"factor", "beta_fast", "beta_slow", "original_max_position_embeddings"}) {
    if (const Json* value = reader.Find(key)) flat[std::string(key)] = *value;
  }
  return flat;
}

void FlattenRope(Patcher* patcher) {
  std::string source = "rope_parameters";
  if (!IsNestedRope(patcher->Find(source))) source = "rope_scaling";
  if (!IsNestedRope(patcher->Find(source))) return;
  const Json nested = *patcher->Find(source);
  const std::string reason = "flattened from " + source + " {main, compress}, as engines read it";
  const ConfigReader main(nested["main"], source + ".main.");
  const ConfigReader compress(nested["compress"], source + ".compress.");
  if (const Json* theta = main.Find("rope_theta")) patcher->Set("/rope_theta", *theta, reason);
  if (const Json* theta = compress.Find("rope_theta")) {
    patcher->Set("/compress_rope_theta", *theta, reason);
  }
  const Json yarn = FlatYarn(nested["compress"], source + ".compress.");
  if (source != "rope_scaling") patcher->Remove(source, reason);
  if (yarn.is_null()) {
    patcher->Remove("rope_scaling", reason);
    return;
  }
  const Json* present = patcher->Find("rope_scaling");
  const bool same =
      present != nullptr && !IsNestedRope(present) && FlatYarn(*present, "rope_scaling.") == yarn;
  if (!same) patcher->Set("/rope_scaling", yarn, reason);
}

void AddScaleFormat(Patcher* patcher) {
  const Json* quantization = patcher->Find("quantization_config");
  if (quantization == nullptr || !quantization->is_object()) return;
  const ConfigReader reader(*quantization, "quantization_config.");
  const Json* method = reader.Find("quant_method");
  if (method == nullptr || *method != "fp8" || reader.Find("scale_fmt") != nullptr) return;
  const Json* expert_dtype = patcher->Find("expert_dtype");
  if (expert_dtype == nullptr) expert_dtype = reader.Find("expert_dtype");
  if (expert_dtype == nullptr || *expert_dtype != "fp4") return;
  patcher->Set("/quantization_config/scale_fmt", "ue8m0",
               "the FP8 scales are E8M0, and engines read that from scale_fmt");
}

}  // namespace

std::vector<ConfigPatch> PatchDeepseekV4Config(Json& config) {
  Patcher patcher(&config);
  RebuildCompressRatios(&patcher);
  RebuildHashLayers(&patcher);
  RebuildRopeHeadDim(&patcher);
  FlattenRope(&patcher);
  AddScaleFormat(&patcher);
  return patcher.Take();
}

}  // namespace vernier::checkpoint

#include "tests/audit/published_config.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

namespace vernier::audit {
namespace {

constexpr std::string_view kLayersPrefix = "layers.";

std::filesystem::path PublishedDirectory(std::string_view name) {
  return std::filesystem::path(VERNIER_TEST_DATA) / "published" / name;
}

struct Cut {
  int64_t old_layers;
  int64_t layers;

  // "model.layers.3.mlp" under its new number; nothing when the layer is gone. A layer behind the
  // last decoder layer is a multi-token-prediction layer and stays behind it.
  std::optional<std::string> Rename(const std::string& name) const {
    const size_t label = name.find(kLayersPrefix);
    if (label == std::string::npos) return name;
    const size_t begin = label + kLayersPrefix.size();
    int64_t layer = 0;
    const auto [stop, error] =
        std::from_chars(name.data() + begin, name.data() + name.size(), layer);
    if (error != std::errc()) return name;
    if (layer < layers) return name;
    if (layer < old_layers) return std::nullopt;
    return name.substr(0, begin) + std::to_string(layer - old_layers + layers) + stop;
  }

  void Patterns(Json* list) const {
    Json kept = Json::array();
    for (const Json& pattern : *list) {
      if (const auto renamed = Rename(pattern.get<std::string>())) kept.push_back(*renamed);
    }
    *list = std::move(kept);
  }

  void Modules(Json* object) const {
    Json kept = Json::object();
    for (const auto& [name, value] : object->items()) {
      if (const auto renamed = Rename(name)) kept[*renamed] = value;
    }
    *object = std::move(kept);
  }

  // Of either file's quantization fields.
  void Quantization(Json* fields) const {
    for (const char* key : {"ignore", "exclude_modules"}) {
      if (fields->contains(key)) Patterns(&(*fields)[key]);
    }
    if (fields->contains("quantized_layers")) Modules(&(*fields)["quantized_layers"]);
  }
};

void AtMost(Json* config, const char* key, int64_t limit) {
  if (config->contains(key)) (*config)[key] = std::min((*config)[key].get<int64_t>(), limit);
}

void CutExperts(Json* config, int64_t experts) {
  for (const char* key : {"n_routed_experts", "num_experts", "num_experts_per_tok"}) {
    AtMost(config, key, experts);
  }
}

// compress_ratios has an entry for each decoder layer, then one for each MTP layer.
void CutRatios(Json* config, const Cut& cut) {
  if (!config->contains("compress_ratios")) return;
  const auto ratios = (*config)["compress_ratios"].get<std::vector<int64_t>>();
  Json kept = Json::array();
  for (int64_t i = 0; i < static_cast<int64_t>(ratios.size()); ++i) {
    if (i < cut.layers || i >= cut.old_layers) kept.push_back(ratios[static_cast<size_t>(i)]);
  }
  (*config)["compress_ratios"] = std::move(kept);
}

void CutLayers(PublishedConfig* published, int64_t layers) {
  Json& config = published->config;
  const int64_t old_layers = config["num_hidden_layers"];
  const Cut cut = {old_layers, std::min(layers, old_layers)};
  config["num_hidden_layers"] = cut.layers;
  AtMost(&config, "num_hash_layers", cut.layers);
  CutRatios(&config, cut);
  if (config.contains("quantization_config")) cut.Quantization(&config["quantization_config"]);
  if (!published->quant_config.is_null()) {
    cut.Quantization(&published->quant_config["quantization"]);
  }
}

void Release(PublishedConfig* published) {
  published->quant_config = nullptr;
  const auto type = published->config["model_type"].get<std::string>();
  if (!type.starts_with("deepseek_v3")) return;
  published->config["quantization_config"] =
      ReadWholeConfig("deepseek-ai--DeepSeek-V3")["quantization_config"];
}

}  // namespace

Json ReadWholeConfig(std::string_view name) {
  return ReadJsonFile(PublishedDirectory(name) / "config.json");
}

PublishedConfig ReadPublishedConfig(std::string_view name, const PublishedOptions& options) {
  PublishedConfig published = {ReadWholeConfig(name), nullptr};
  const std::filesystem::path quant_config = PublishedDirectory(name) / "hf_quant_config.json";
  if (std::filesystem::exists(quant_config)) published.quant_config = ReadJsonFile(quant_config);
  if (options.as_released) Release(&published);
  if (options.experts > 0) CutExperts(&published.config, options.experts);
  if (options.layers > 0) CutLayers(&published, options.layers);
  return published;
}

std::vector<std::string> ExcludedModules(const PublishedConfig& published) {
  if (published.quant_config.is_null()) return {};
  return published.quant_config["quantization"]["exclude_modules"];
}

std::vector<std::string> PublishedNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(PublishedDirectory(""))) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace vernier::audit

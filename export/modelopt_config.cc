#include "export/modelopt_config.h"

#include <string>
#include <utility>

#include "export/ignore_patterns.h"
#include "quantizers/nvfp4.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::Role;

constexpr std::string_view kQuantizationConfig = "quantization_config";
constexpr std::string_view kNvfp4Algo = "NVFP4";

// "layers.3.ffn.experts.7.w1" -> "layers.3.ffn.experts": engines treat a layer's experts as one
// module.
std::string EngineModule(const LogicalWeight& weight) {
  if (weight.role != Role::kRoutedExpert) return weight.module;
  return weight.module.substr(0, weight.module.rfind("." + std::to_string(weight.expert) + "."));
}

Json Nvfp4Operand() {
  return {{"dynamic", false},
          {"group_size", quantizers::kNvfp4BlockSize},
          {"num_bits", 4},
          {"type", "float"}};
}

// What both files say about the quantised part.
struct QuantisedPart {
  Json layers = Json::object();  // module -> algorithm
  bool routed_experts = false;
  Json ignore = Json::array();
  Json producer;
};

QuantisedPart Describe(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
                       std::string_view version) {
  QuantisedPart part;
  std::string last;  // a layer's experts follow each other
  for (size_t i = 0; i < layout.weights.size(); ++i) {
    if (plan.weights[i].format != recipes::TargetFormat::kNvfp4) continue;
    part.routed_experts |= layout.weights[i].role == Role::kRoutedExpert;
    std::string module = EngineModule(layout.weights[i]);
    if (module == last) continue;
    part.layers[module] = {{"group_size", quantizers::kNvfp4BlockSize}, {"quant_algo", kNvfp4Algo}};
    last = std::move(module);
  }
  part.ignore = IgnorePatterns(layout, plan);
  part.producer = {{"name", "modelopt"}, {"version", "vernier-" + std::string(version)}};
  return part;
}

void Extend(const QuantisedPart& part, Json& quantization) {
  if (!quantization.contains("quant_method")) quantization["quant_method"] = "modelopt";
  if (part.routed_experts) quantization["moe_quant_algo"] = kNvfp4Algo;
  quantization["quant_algo"] = "MIXED_PRECISION";
  quantization["kv_cache_quant_algo"] = nullptr;
  quantization["group_size"] = quantizers::kNvfp4BlockSize;
  quantization["config_groups"] = {{"group_0",
                                    {{"input_activations", Nvfp4Operand()},
                                     {"targets", {"Linear"}},
                                     {"weights", Nvfp4Operand()}}}};
  quantization["quantized_layers"] = part.layers;
  quantization["ignore"] = part.ignore;
  quantization["producer"] = part.producer;
}

Json NestedForm(const QuantisedPart& part) {
  return {{"producer", part.producer},
          {"quantization",
           {{"quant_algo", "MIXED_PRECISION"},
            {"kv_cache_quant_algo", nullptr},
            {"group_size", quantizers::kNvfp4BlockSize},
            {"quantized_layers", part.layers},
            {"exclude_modules", part.ignore}}}};
}

}  // namespace

OutputConfigs MakeModeloptConfigs(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                                  std::string_view version) {
  OutputConfigs configs;
  configs.config = source.checkpoint.config();
  configs.patches = source.family->PatchConfig(configs.config);
  if (plan.scale_groups.empty()) return configs;

  const QuantisedPart part = Describe(source.layout, plan, version);
  Json& quantization = configs.config[std::string(kQuantizationConfig)];
  Json before = quantization;
  if (!quantization.is_object()) quantization = Json::object();
  Extend(part, quantization);
  configs.patches.push_back({.path = "/" + std::string(kQuantizationConfig),
                             .before = std::move(before),
                             .after = quantization,
                             .reason = "says which modules are NVFP4 now"});
  configs.hf_quant_config = NestedForm(part);
  return configs;
}

}  // namespace vernier::exporter

#include "dialects/modelopt_fields.h"

#include <string>
#include <utility>

namespace vernier::dialects {
namespace {

using checkpoint::KvCacheFormat;

Json LayerEntry(const ModuleFormat& module) {
  Json entry = Json::object();
  const int64_t group_size = ModeloptGroupSize(module);
  if (group_size > 0) entry["group_size"] = group_size;
  entry["quant_algo"] = ModeloptAlgo(module);
  return entry;
}

}  // namespace

std::string_view ModeloptAlgo(const ModuleFormat& module) {
  const checkpoint::ModeloptNames& names = module.format->modelopt;
  return module.input_scale || names.weight_only.empty() ? names.algo : names.weight_only;
}

int64_t ModeloptGroupSize(const ModuleFormat& module) {
  return module.format->parts.span == checkpoint::ScaleSpan::kGroup ? module.block_columns : 0;
}

Json ModeloptOperand(int bits, int64_t group_size) {
  Json operand = {{"dynamic", false}};
  if (group_size > 0) operand["group_size"] = group_size;
  operand["num_bits"] = bits;
  operand["type"] = "float";
  return operand;
}

Json ModeloptLayers(const checkpoint::ModelLayout& layout, const ModuleFormats& formats) {
  Json layers = Json::object();
  std::string last;
  for (size_t i = 0; i < formats.size(); ++i) {
    if (!checkpoint::IsQuantised(formats[i].format)) continue;
    std::string module = EngineModule(layout.weights[i]);
    if (module == last) continue;
    layers[module] = LayerEntry(formats[i]);
    last = std::move(module);
  }
  return layers;
}

std::vector<bool> QuantisedFlags(const ModuleFormats& formats) {
  std::vector<bool> flags;
  for (const ModuleFormat& module : formats) {
    flags.push_back(checkpoint::IsQuantised(module.format));
  }
  return flags;
}

Json ModeloptProducer(std::string_view version) {
  return {{"name", "modelopt"}, {"version", "vernier-" + std::string(version)}};
}

Json ModeloptNestedForm(const ModeloptFields& fields) {
  Json quantization = {{"quant_algo", fields.algo}, {"kv_cache_quant_algo", nullptr}};
  if (fields.kv_cache == KvCacheFormat::kFp8) quantization["kv_cache_quant_algo"] = "FP8";
  if (fields.kv_cache == KvCacheFormat::kNvfp4) {
    quantization["kv_cache_quant_algo"] = kNvfp4CacheAlgo;
  }
  if (fields.group_size > 0) quantization["group_size"] = fields.group_size;
  if (!fields.layers.is_null()) quantization["quantized_layers"] = fields.layers;
  quantization["exclude_modules"] = fields.ignore;
  return {{"producer", fields.producer}, {"quantization", std::move(quantization)}};
}

}  // namespace vernier::dialects

// The dialect of NVIDIA's ModelOpt, which TensorRT-LLM, vLLM and SGLang read.
#include <cassert>
#include <string>
#include <utility>

#include "checkpoint/config_facts.h"
#include "dialects/dialect.h"
#include "dialects/ignore_patterns.h"
#include "dialects/modelopt_fields.h"

namespace vernier::dialects {
namespace {

using checkpoint::KvCacheFormat;

constexpr int kKvCacheBits = 8;

bool NamesOfModelopt(const checkpoint::SourceModel& source,
                     const checkpoint::LogicalWeight& weight) {
  return !kCompressedTensors.names(source, weight) && !kNative.names(source, weight);
}

std::string_view AlgoOfFormat(checkpoint::Format format) { return format->modelopt.algo; }

// vLLM 0.32 and 0.33, modelopt.py; SGLang 0.5.23, modelopt_quant.py; TensorRT-LLM, fused_moe.
std::string_view ExpertsObstacle(checkpoint::Format format, bool /*input_scales*/) {
  using checkpoint::ScaleSpan;
  if (format->parts.span == ScaleSpan::kRow) {
    return "vLLM and SGLang read one scale a weight there, and TensorRT-LLM has no such experts";
  }
  if (format->parts.span != ScaleSpan::kBlock) return {};
  return "vLLM and SGLang read one scale a weight there, and TensorRT-LLM looks for theirs under "
         "another name";
}

Json ConfigGroup(const ModuleFormat& module, Json targets) {
  const Json operand =
      ModeloptOperand(checkpoint::BitsOf(module.format->parts), ModeloptGroupSize(module));
  Json group = Json::object();
  if (module.input_scale || module.format->modelopt.dynamic_inputs) {
    group["input_activations"] = operand;
  }
  group["targets"] = std::move(targets);
  group["weights"] = operand;
  if (module.format->parts.span == checkpoint::ScaleSpan::kRow) {
    group["weights"]["strategy"] = "channel";
  }
  return group;
}

// Engine modules of the weights, in layout order; a layer's experts follow each other.
std::vector<std::string> EngineModules(const checkpoint::ModelLayout& layout,
                                       const std::vector<size_t>& weights) {
  std::vector<std::string> modules;
  for (const size_t i : weights) {
    std::string module = EngineModule(layout.weights[i]);
    if (modules.empty() || module != modules.back()) modules.push_back(std::move(module));
  }
  return modules;
}

Json FlatForm(const ModeloptFields& fields, Json groups) {
  Json flat = {{"config_groups", std::move(groups)}};
  if (fields.group_size > 0) flat["group_size"] = fields.group_size;
  flat["ignore"] = fields.ignore;
  if (fields.kv_cache == KvCacheFormat::kFp8) {
    flat["kv_cache_scheme"] = ModeloptOperand(kKvCacheBits, 0);
  }
  // Only of FP8 is it an object (convert_hf_config.py).
  if (fields.kv_cache == KvCacheFormat::kNvfp4) flat["kv_cache_scheme"] = kNvfp4CacheAlgo;
  flat["producer"] = fields.producer;
  flat["quant_algo"] = fields.algo;
  flat["quant_method"] = "modelopt";
  if (!fields.layers.is_null()) flat["quantized_layers"] = fields.layers;
  return flat;
}

QuantConfig Configure(const ModeloptFields& fields, Json groups) {
  return {.place = std::string(kNewConfigPlace),
          .config = FlatForm(fields, std::move(groups)),
          .hf_quant_config = ModeloptNestedForm(fields),
          .reason = "says how modules are quantised now"};
}

// One format: its quant_algo. Several: MIXED_PRECISION with quantized_layers. Layout of the fields:
// ModelOpt, quant_utils.py and convert_hf_config.py; vLLM and TensorRT-LLM read fp8_pb_wo and mxfp4
// in lower case, as ModelOpt writes them.
QuantConfig MakeModeloptConfig(const ConfigRequest& request) {
  const auto groups = GroupByFormat(request.formats);
  assert(!groups.empty());
  const checkpoint::ModelLayout& layout = request.source.layout;
  Json ignore = IgnorePatterns(layout, QuantisedFlags(request.formats), Routers::kListed);
  if (HasTiedHead(request.source)) ignore.push_back("lm_head");
  ModeloptFields fields = {.algo = kModeloptMixedAlgo,
                           .ignore = std::move(ignore),
                           .producer = ModeloptProducer(request.version),
                           .kv_cache = request.kv_cache};
  if (groups.size() == 1) {
    const ModuleFormat& only = groups.begin()->first;
    fields.algo = ModeloptAlgo(only);
    fields.group_size = ModeloptGroupSize(only);
    return Configure(fields, {{"group_0", ConfigGroup(only, Json::array({"Linear"}))}});
  }
  fields.layers = ModeloptLayers(layout, request.formats);
  Json described = Json::object();
  for (const auto& [module, weights] : groups) {
    described["group_" + std::to_string(described.size())] =
        ConfigGroup(module, EngineModules(layout, weights));
  }
  return Configure(fields, std::move(described));
}

}  // namespace

constinit const Dialect kModelopt = {
    .name = "modelopt",
    .names = NamesOfModelopt,
    .parts = {.codes = ".weight",
              .packed_codes = ".weight",
              .scale = ".weight_scale",
              .global_scale = ".weight_scale_2",
              .input_scale = ".input_scale",
              .input_global_scale = ".input_scale",
              .shape = ".weight_shape"},
    .number = checkpoint::DType::kF32,
    .blocks_have_four_dimensions = true,  // its FP8_PB_WO
    // Its *_cast exports have none.
    .kv_scales = {.beside_projections = true, .absent_is_one = true, .nvfp4 = true},
    // vLLM reads them uninitialised where they are missing (modelopt.py).
    .needs_input_scales = true,
    .format_name = AlgoOfFormat,
    .missing_format =
        "its configurations have no name for it (of int4 only for AWQ's layout with "
        "pre_quant_scale, which is not written)",
    .experts_obstacle = ExpertsObstacle,
    .experts_remedy = "Set export.dialect to \"compressed-tensors\" (--dialect), which loads",
    .strict_about_blocks = "vLLM",
    .whole_block_columns = true,
    .make_config = MakeModeloptConfig};

}  // namespace vernier::dialects

// The dialect of compressed-tensors, which vLLM, SGLang and transformers read.
#include <algorithm>
#include <cassert>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "checkpoint/config_facts.h"
#include "dialects/dialect.h"

namespace vernier::dialects {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::ScaleSpan;

constexpr std::string_view kQuantMethod = "compressed-tensors";
constexpr std::string_view kPackedWeight = ".weight_packed";
constexpr std::string_view kWeightScale = ".weight_scale";
constexpr std::string_view kLibraryVersion = "0.18.0";  // of the library whose fields these are
constexpr int64_t kInputGroup = 128;                    // of activations beside FP8 blocks

// The fields of QuantizationArgs that differ between formats.
struct Args {
  int bits = 0;
  std::string_view strategy = {};
  std::string_view type = "float";
  Json dynamic = false;
  Json group_size = nullptr;
  Json block_structure = nullptr;
  Json scale_dtype = nullptr;
  Json observer = nullptr;
};

Json ArgsJson(const Args& args) {
  return {{"actorder", nullptr},
          {"block_structure", args.block_structure},
          {"dynamic", args.dynamic},
          {"group_size", args.group_size},
          {"num_bits", args.bits},
          {"observer", args.observer},
          {"observer_kwargs", Json::object()},
          {"scale_dtype", args.scale_dtype},
          {"strategy", args.strategy},
          {"symmetric", true},
          {"type", args.type},
          {"zp_dtype", nullptr}};
}

Json ScaleDtype(checkpoint::DType dtype) {
  if (dtype == checkpoint::DType::kF8E4M3) return "torch.float8_e4m3fn";
  if (dtype == checkpoint::DType::kU8) return "torch.uint8";
  return nullptr;
}

std::string_view Strategy(const checkpoint::WrittenParts& parts) {
  switch (parts.span) {
    case ScaleSpan::kRow:
      return "channel";
    case ScaleSpan::kBlock:
      return "block";
    case ScaleSpan::kGroup:
      return parts.global_scale ? "tensor_group" : "group";
    case ScaleSpan::kWeight:
    case ScaleSpan::kNone:
      break;
  }
  return "tensor";
}

Args WeightArgs(const ModuleFormat& module) {
  const checkpoint::WrittenParts& parts = module.format->parts;
  Args args = {.bits = checkpoint::BitsOf(parts),
               .strategy = Strategy(parts),
               .type = module.format->compressed_tensors.type,
               .scale_dtype = ScaleDtype(parts.scale),
               .observer = "memoryless_minmax"};
  if (parts.span == ScaleSpan::kBlock) {
    args.block_structure = {module.block_rows, module.block_columns};
  } else if (module.block_columns > 0) {
    args.group_size = module.block_columns;
  }
  return args;
}

// Null where activations are not quantised.
Json InputArgs(const ModuleFormat& module) {
  using Inputs = checkpoint::CompressedTensorsNames::Inputs;
  Args args = WeightArgs(module);
  args.block_structure = nullptr;
  if (module.input_scale && module.format->has_input_scale()) {
    // Scales of groups are found at run time, below a static one.
    args.dynamic = module.format->parts.global_scale ? Json("local") : Json(false);
    args.observer = "static_minmax";
    return ArgsJson(args);
  }
  args.dynamic = true;
  args.observer = nullptr;
  switch (module.format->compressed_tensors.inputs) {
    case Inputs::kNone:
      return nullptr;
    case Inputs::kPerToken:
      args.strategy = "token";
      break;
    case Inputs::kPerGroup:
      args.strategy = "group";
      args.group_size = kInputGroup;
      break;
    case Inputs::kAsWeights:
      break;
  }
  return ArgsJson(args);
}

Json KvCacheScheme(checkpoint::KvCacheFormat format) {
  if (format != checkpoint::KvCacheFormat::kFp8) return nullptr;
  return ArgsJson({.bits = 8, .strategy = "tensor", .observer = "static_minmax"});
}

Json Group(const ModuleFormat& module, Json targets) {
  return {{"format", module.format->compressed_tensors.format},
          {"input_activations", InputArgs(module)},
          {"output_activations", nullptr},
          {"targets", std::move(targets)},
          {"weights", ArgsJson(WeightArgs(module))}};
}

Json ModuleNames(const checkpoint::ModelLayout& layout, const std::vector<size_t>& weights) {
  std::set<std::string> names;
  for (const size_t i : weights) names.insert(layout.weights[i].module);
  return names;
}

// The library counts every module that is applied as a linear layer, routers too; engines also look
// for a stack of experts.
bool IsLinearModule(const LogicalWeight& weight) {
  return weight.linear || weight.stacks_experts();
}

Json Ignored(const checkpoint::SourceModel& source, const ModuleFormats& formats) {
  std::set<std::string> names;
  for (size_t i = 0; i < formats.size(); ++i) {
    const LogicalWeight& weight = source.layout.weights[i];
    if (!checkpoint::IsQuantised(formats[i].format) && IsLinearModule(weight)) {
      const bool stacked = weight.stacks_experts() || weight.in_stack;
      names.insert(stacked ? EngineModule(weight) : weight.module);
    }
  }
  if (HasTiedHead(source)) names.insert("lm_head");
  return names;
}

// A group per format, keys sorted as the library writes them. One group targets every "Linear" that
// "ignore" does not name; of several each names its modules, because readers resolve overlapping
// groups differently. "ignore" has the full names of all linear layers that are not quantised,
// routers included. Fields and values: compressed-tensors 0.18, quant_scheme.py (presets NVFP4,
// NVFP4A16, MXFP4, MXFP8, FP8, FP8_DYNAMIC, FP8_BLOCK, W4A16) and quant_config.py.
QuantConfig MakeCompressedTensorsConfig(const ConfigRequest& request) {
  const auto by_format = GroupByFormat(request.formats);
  assert(!by_format.empty());
  Json groups = Json::object();
  std::set<std::string_view> names;
  for (const auto& [module, weights] : by_format) {
    Json targets = by_format.size() == 1 ? Json::array({"Linear"})
                                         : ModuleNames(request.source.layout, weights);
    groups["group_" + std::to_string(groups.size())] = Group(module, std::move(targets));
    names.insert(module.format->compressed_tensors.format);
  }
  Json config = {{"config_groups", std::move(groups)},
                 {"format", names.size() == 1 ? *names.begin() : "mixed-precision"},
                 {"global_compression_ratio", nullptr},
                 {"ignore", Ignored(request.source, request.formats)},
                 {"kv_cache_scheme", KvCacheScheme(request.kv_cache)},
                 {"quant_method", kQuantMethod},
                 {"quantization_status", "compressed"},
                 {"sparsity_config", Json::object()},
                 {"transform_config", Json::object()},
                 {"version", kLibraryVersion}};
  return {.place = std::string(kNewConfigPlace),
          .config = std::move(config),
          .hf_quant_config = {},
          .reason = "says how modules are quantised now"};
}

bool NamesOfCompressedTensors(const checkpoint::SourceModel& source, const LogicalWeight& weight) {
  const std::string& main = source.checkpoint.tensor(weight.main).info.name;
  if (main.ends_with(kPackedWeight)) return true;
  const std::string& scale = source.checkpoint.tensor(weight.scale).info.name;
  return scale.ends_with(kWeightScale) &&
         checkpoint::QuantMethod(source.checkpoint.config()) == kQuantMethod;
}

// vLLM 0.32 and 0.33, compressed_tensors_moe_w8a8_fp8.py, of which SGLang 0.5.23 has a copy;
// TensorRT-LLM, its reader of this dialect's groups.
std::string_view ExpertsObstacleOfGroups(checkpoint::Format format, bool input_scales) {
  if (format->parts.span != ScaleSpan::kWeight || input_scales) return {};
  return "vLLM and SGLang want a scale for their inputs beside it, and TensorRT-LLM does not read "
         "FP8 with one scale there";
}

std::string_view NameOfFormat(checkpoint::Format format) {
  return format->compressed_tensors.format;
}

}  // namespace

// Its numbers are BF16 because both readers then use the same number: the library dequantises into
// the scale's dtype, so that F32 scales would make F32 weights in a BF16 model, and vLLM widens
// them to its F32 parameters. Codes must be computed with the rounded scale. Absent scales of the
// cache are left uninitialised (lifecycle/initialize.py).
constinit const Dialect kCompressedTensors = {
    .name = kQuantMethod,
    .names = NamesOfCompressedTensors,
    .parts = {.codes = ".weight",
              .packed_codes = kPackedWeight,
              .scale = kWeightScale,
              .global_scale = ".weight_global_scale",
              .input_scale = ".input_scale",
              .input_global_scale = ".input_global_scale",
              .shape = ".weight_shape"},
    .reciprocals = true,
    .numbers_have_dimensions = true,
    .number = checkpoint::DType::kBF16,
    .format_name = NameOfFormat,
    .missing_format = "its configurations have no name for it",
    .experts_obstacle = ExpertsObstacleOfGroups,
    .experts_remedy =
        "Use fp8_channel, or give input scales (\"activations\": 1.0, or "
        "--input-scale 1.0)",
    .make_config = MakeCompressedTensorsConfig};

}  // namespace vernier::dialects

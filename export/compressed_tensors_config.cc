#include "export/compressed_tensors_config.h"

#include <algorithm>
#include <cassert>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "recipes/target_format.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::Role;
using recipes::TargetFormat;

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

std::string_view FormatName(TargetFormat format) {
  switch (format) {
    case TargetFormat::kNvfp4:
      return "nvfp4-pack-quantized";
    case TargetFormat::kMxfp4:
      return "mxfp4-pack-quantized";
    case TargetFormat::kMxfp8:
      return "mxfp8-quantized";
    case TargetFormat::kInt4:
      return "pack-quantized";
    default:
      return "float-quantized";
  }
}

Args WeightArgs(const ModuleFormat& module) {
  Args args = {.bits = 8, .observer = "memoryless_minmax"};
  switch (module.format) {
    case TargetFormat::kNvfp4:
      args.bits = 4;
      args.strategy = "tensor_group";
      args.scale_dtype = "torch.float8_e4m3fn";
      break;
    case TargetFormat::kMxfp4:
      args.bits = 4;
      [[fallthrough]];
    case TargetFormat::kMxfp8:
      args.strategy = "group";
      args.scale_dtype = "torch.uint8";
      break;
    case TargetFormat::kFp8Tensor:
      args.strategy = "tensor";
      break;
    case TargetFormat::kFp8Channel:
      args.strategy = "channel";
      break;
    case TargetFormat::kFp8Block:
      args.strategy = "block";
      args.block_structure = {module.block_rows, module.block_columns};
      return args;
    case TargetFormat::kInt4:
      args.bits = 4;
      args.strategy = "group";
      args.type = "int";
      break;
    default:
      assert(false && "not a quantised format");
  }
  if (module.block_columns > 0) args.group_size = module.block_columns;
  return args;
}

// Null where activations are not quantised.
Json InputArgs(const ModuleFormat& module) {
  Args args = WeightArgs(module);
  args.block_structure = nullptr;
  args.dynamic = true;
  args.observer = nullptr;
  switch (module.format) {
    case TargetFormat::kNvfp4:
      if (!module.input_scale) return nullptr;
      args.dynamic = "local";
      args.observer = "static_minmax";
      break;
    case TargetFormat::kFp8Tensor:
      args.dynamic = !module.input_scale;
      args.strategy = module.input_scale ? "tensor" : "token";
      if (module.input_scale) args.observer = "static_minmax";
      break;
    case TargetFormat::kFp8Channel:
      args.strategy = "token";
      break;
    case TargetFormat::kFp8Block:
      args.strategy = "group";
      args.group_size = kInputGroup;
      break;
    case TargetFormat::kMxfp4:
    case TargetFormat::kInt4:
      return nullptr;
    default:
      break;
  }
  return ArgsJson(args);
}

Json KvCacheScheme(bool fp8) {
  if (!fp8) return nullptr;
  return ArgsJson({.bits = 8, .strategy = "tensor", .observer = "static_minmax"});
}

Json Group(const ModuleFormat& module, Json targets) {
  return {{"format", FormatName(module.format)},
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
    if (formats[i].format == TargetFormat::kBf16 && IsLinearModule(weight)) {
      names.insert(weight.stacks_experts() ? EngineModule(weight) : weight.module);
    }
  }
  if (HasTiedHead(source)) names.insert("lm_head");
  return names;
}

}  // namespace

Json MakeCompressedTensorsConfig(const checkpoint::SourceModel& source,
                                 const ModuleFormats& formats, bool fp8_kv_cache) {
  const auto by_format = GroupByFormat(formats);
  assert(!by_format.empty());
  Json groups = Json::object();
  std::set<std::string_view> names;
  for (const auto& [module, weights] : by_format) {
    Json targets =
        by_format.size() == 1 ? Json::array({"Linear"}) : ModuleNames(source.layout, weights);
    groups["group_" + std::to_string(groups.size())] = Group(module, std::move(targets));
    names.insert(FormatName(module.format));
  }
  return {{"config_groups", std::move(groups)},
          {"format", names.size() == 1 ? *names.begin() : "mixed-precision"},
          {"global_compression_ratio", nullptr},
          {"ignore", Ignored(source, formats)},
          {"kv_cache_scheme", KvCacheScheme(fp8_kv_cache)},
          {"quant_method", "compressed-tensors"},
          {"quantization_status", "compressed"},
          {"sparsity_config", Json::object()},
          {"transform_config", Json::object()},
          {"version", kLibraryVersion}};
}

}  // namespace vernier::exporter

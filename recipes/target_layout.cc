#include "recipes/target_layout.h"

#include <algorithm>
#include <cassert>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/rounding.h"
#include "checkpoint/families/kv_cache.h"
#include "recipes/source_convention.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

using checkpoint::DType;

constexpr int64_t kNibblesPerByte = 2;
constexpr int64_t kInt4PerWord = 8;

// Collects the parts of one weight.
class PartList {
 public:
  explicit PartList(const TargetRequest& request)
      : request_(request), rows_(request.weight.rows()), columns_(request.weight.columns()) {}

  std::vector<TargetPart> Modelopt() {
    switch (request_.format) {
      case TargetFormat::kNvfp4:
        AddPacked(".weight");
        Add(OutputPart::kScale, ".weight_scale", DType::kF8E4M3, PerBlock());
        Add(OutputPart::kGlobalScale, ".weight_scale_2", DType::kF32, {});
        AddInputScale(".input_scale", DType::kF32, {});
        break;
      case TargetFormat::kMxfp4:
        AddPacked(".weight");
        Add(OutputPart::kScale, ".weight_scale", DType::kU8, PerBlock());
        break;
      case TargetFormat::kMxfp8:
        AddFp8(".weight_scale", DType::kU8, PerBlock());
        break;
      case TargetFormat::kFp8Tensor:
        AddFp8(".weight_scale", WholeFp8ScaleDtype(request_.dialect), {});
        AddInputScale(".input_scale", DType::kF32, {});
        break;
      case TargetFormat::kFp8Channel:
        AddFp8(".weight_scale", DType::kF32, {rows_});
        break;
      case TargetFormat::kFp8Block:
        AddFp8Blocks();
        break;
      default:
        assert(false && "CheckTarget refuses it");
    }
    return std::move(parts_);
  }

  std::vector<TargetPart> CompressedTensors() {
    switch (request_.format) {
      case TargetFormat::kNvfp4:
        AddPacked(".weight_packed");
        Add(OutputPart::kScale, ".weight_scale", DType::kF8E4M3, PerBlock());
        Add(OutputPart::kGlobalScale, ".weight_global_scale", DType::kF32, {1});
        AddInputScale(".input_global_scale", DType::kF32, {1});
        break;
      case TargetFormat::kMxfp4:
        AddPacked(".weight_packed");
        Add(OutputPart::kScale, ".weight_scale", DType::kU8, PerBlock());
        break;
      case TargetFormat::kMxfp8:
        AddFp8(".weight_scale", DType::kU8, PerBlock());
        break;
      case TargetFormat::kFp8Tensor:
        AddFp8(".weight_scale", WholeFp8ScaleDtype(request_.dialect), {1});
        AddInputScale(".input_scale", DType::kBF16, {1});
        break;
      case TargetFormat::kFp8Channel:
        AddFp8(".weight_scale", DType::kBF16, {rows_, 1});
        break;
      case TargetFormat::kFp8Block:
        AddFp8Blocks();
        break;
      case TargetFormat::kInt4:
        Add(OutputPart::kCodes, ".weight_packed", DType::kI32, {rows_, columns_ / kInt4PerWord});
        Add(OutputPart::kScale, ".weight_scale", DType::kBF16, PerBlock());
        Add(OutputPart::kShape, ".weight_shape", DType::kI64, {2});
        break;
      default:
        assert(false && "not a quantised format");
    }
    return std::move(parts_);
  }

  std::vector<TargetPart> Bf16() {
    parts_.push_back(
        {OutputPart::kCodes, request_.weight.name, DType::kBF16, request_.weight.shape});
    return std::move(parts_);
  }

 private:
  void Add(OutputPart part, std::string_view suffix, DType dtype, std::vector<int64_t> shape) {
    parts_.push_back({part, request_.weight.module + std::string(suffix), dtype, std::move(shape)});
  }

  void AddPacked(std::string_view suffix) {
    Add(OutputPart::kCodes, suffix, DType::kU8, {rows_, columns_ / kNibblesPerByte});
  }

  void AddFp8(std::string_view scale_suffix, DType scale_dtype, std::vector<int64_t> scale_shape) {
    Add(OutputPart::kCodes, ".weight", DType::kF8E4M3, {rows_, columns_});
    Add(OutputPart::kScale, scale_suffix, scale_dtype, std::move(scale_shape));
  }

  void AddFp8Blocks() {
    const Fp8Blocks& blocks = request_.fp8_blocks;
    const int64_t down = CeilDivide(rows_, blocks.rows);
    const int64_t across = CeilDivide(columns_, blocks.columns);
    AddFp8(blocks.scale_suffix, blocks.scale_dtype,
           blocks.four_dimensions ? std::vector<int64_t>{down, 1, across, 1}
                                  : std::vector<int64_t>{down, across});
  }

  void AddInputScale(std::string_view suffix, DType dtype, std::vector<int64_t> shape) {
    if (request_.with_input_scale) Add(OutputPart::kInputScale, suffix, dtype, std::move(shape));
  }

  std::vector<int64_t> PerBlock() const {
    return {rows_, columns_ / BlockColumns(request_.format)};
  }

  const TargetRequest& request_;
  int64_t rows_;
  int64_t columns_;
  std::vector<TargetPart> parts_;
};

}  // namespace

std::vector<TargetPart> TargetParts(const TargetRequest& request) {
  assert(request.format != TargetFormat::kKeep);
  PartList parts(request);
  if (request.format == TargetFormat::kBf16) return parts.Bf16();
  return request.dialect == Dialect::kModelopt ? parts.Modelopt() : parts.CompressedTensors();
}

std::vector<TargetPart> KvScaleParts(const checkpoint::KvCacheEntry& entry, Dialect dialect) {
  const bool modelopt = dialect == Dialect::kModelopt;
  std::vector<TargetPart> parts;
  const auto add = [&](const checkpoint::KvScaleName& suffixes) {
    std::string name = entry.attention;
    if (modelopt) name += suffixes.projection;
    name += suffixes.scale;
    parts.push_back({OutputPart::kKvScale, std::move(name), modelopt ? DType::kF32 : DType::kBF16,
                     modelopt ? std::vector<int64_t>() : std::vector<int64_t>{1}});
  };
  if (entry.keys) add(checkpoint::kKeyScale);
  if (entry.values) add(checkpoint::kValueScale);
  return parts;
}

bool ImpliesUnitKvScales(Dialect dialect) { return dialect == Dialect::kModelopt; }

DType WholeFp8ScaleDtype(Dialect dialect) {
  return dialect == Dialect::kModelopt ? DType::kF32 : DType::kBF16;
}

bool StoresReciprocals(TargetFormat format, Dialect dialect) {
  return dialect == Dialect::kCompressedTensors && format == TargetFormat::kNvfp4;
}

void CheckTarget(TargetFormat format, Dialect dialect, const std::string& subject) {
  if (format != TargetFormat::kInt4 || dialect != Dialect::kModelopt) return;
  throw Error(ErrorCode::kBadRule, subject,
              "the modelopt dialect stores int4 only in AWQ's layout with pre_quant_scale, which "
              "is not written",
              "Set export.dialect to \"compressed-tensors\"");
}

Fp8Blocks Fp8BlocksOf(const checkpoint::SourceModel& source, Dialect dialect) {
  if (dialect == Dialect::kCompressedTensors) {
    return {.scale_dtype = DType::kBF16, .four_dimensions = false};
  }
  if (!HasNativeConfig(source)) return {};
  const auto& weights = source.layout.weights;
  const auto native = std::ranges::find_if(weights, [&](const checkpoint::LogicalWeight& weight) {
    return weight.format == checkpoint::WeightFormat::kFp8Block &&
           ConventionOf(source, weight) == Convention::kNative;
  });
  if (native == weights.end()) return {};
  const checkpoint::TensorInfo& scale = source.checkpoint.tensor(native->scale).info;
  return {.rows = native->block_rows,
          .columns = native->block_columns,
          .scale_suffix = scale.name.substr(native->module.size()),
          .scale_dtype = scale.dtype,
          .four_dimensions = false,
          .native = true};
}

}  // namespace vernier::recipes

#include "checkpoint/weight_parts.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/rounding.h"
#include "checkpoint/tensor_checks.h"
#include "checkpoint/weight_format.h"
#include "quantizers/mxfp4.h"
#include "quantizers/mxfp8.h"
#include "quantizers/nvfp4.h"

namespace vernier::checkpoint {
namespace {

constexpr int64_t kNibblesPerByte = 2;

class PartResolver {
 public:
  PartResolver(const Checkpoint& checkpoint, const FormatHints& hints, const TensorGroup& group,
               LogicalWeight* weight)
      : checkpoint_(checkpoint),
        checks_(checkpoint),
        hints_(hints),
        group_(group),
        weight_(*weight) {}

  void Resolve() {
    RefuseTwins();
    weight_.format = ClassifyGroup(checkpoint_, group_, hints_, weight_.linear);
    if (IsQuantised(weight_.format) && !IsReadable(weight_.format)) return KeepAll();
    switch (weight_.format) {
      case WeightFormat::kFp8Tensor:
      case WeightFormat::kFp8Channel:
      case WeightFormat::kFp8Block:
      case WeightFormat::kMxfp8:
        return ResolveFp8();
      case WeightFormat::kMxfp4:
        return ResolveMxfp4();
      case WeightFormat::kNvfp4:
      case WeightFormat::kNvfp4Wide:
        return ResolveNvfp4();
      case WeightFormat::kInt4:
      case WeightFormat::kInt4Zero:
        return ResolveInt4();
      case WeightFormat::kInt4Rows:
        return ResolveInt4Rows();
      default:
        return RefusePackedName();
    }
  }

 private:
  const TensorInfo& Info(size_t tensor) const { return checks_.Info(tensor); }
  bool packed() const { return group_.Has(Part::kPackedWeight); }

  // A scheme that is not read: every tensor stays with the weight.
  void KeepAll() {
    weight_.others = group_.Tensors();
    std::erase(weight_.others, weight_.main);
  }

  void RefuseTwins() const {
    if (packed() && group_.Has(Part::kWeight)) {
      checks_.Fail(
          ErrorCode::kAmbiguousScale, weight_.main,
          "stands beside " + Info(group_[Part::kWeight]).name + ", which is the same weight");
    }
    size_t found = Checkpoint::kNotFound;
    for (const Part part : {Part::kScale, Part::kScaleInverse, Part::kWeightScale}) {
      if (!group_.Has(part)) continue;
      if (found != Checkpoint::kNotFound) {
        checks_.Fail(ErrorCode::kAmbiguousScale, weight_.main,
                     "has both " + Info(found).name + " and " + Info(group_[part]).name);
      }
      found = group_[part];
    }
  }

  void RefusePackedName() const {
    if (packed()) checks_.RequireDtype(weight_.main, {DType::kU8, DType::kI32});
  }

  [[noreturn]] void FailMissing(ErrorCode code, std::string_view expected) const {
    checks_.Fail(code, weight_.main,
                 "is " + Info(weight_.main).dtype_name + " but has no " + weight_.module +
                     std::string(expected));
  }

  size_t RequireScale(std::string_view names) const {
    if (group_.AnyScale() == Checkpoint::kNotFound) FailMissing(ErrorCode::kMissingScale, names);
    return group_.AnyScale();
  }

  std::vector<int64_t> Grid(const BlockSize& block) const {
    return {CeilDivide(weight_.rows(), block.rows), CeilDivide(weight_.columns(), block.columns)};
  }

  void SetBlocks(size_t scale, const BlockSize& block) {
    weight_.scale = scale;
    weight_.block_rows = block.rows;
    weight_.block_columns = block.columns;
  }

  void SetWholeBlocks(size_t scale, int64_t block_columns) {
    if (weight_.columns() % block_columns != 0) {
      checks_.Fail(ErrorCode::kWrongShape, weight_.main,
                   "has " + std::to_string(weight_.columns()) + " columns, which blocks of " +
                       std::to_string(block_columns) + " do not divide");
    }
    const BlockSize block = {1, block_columns};
    checks_.RequireShape(scale, Grid(block));
    SetBlocks(scale, block);
  }

  void SetInputScale(std::initializer_list<DType> dtypes) {
    weight_.input_scale = group_.AnyInputScale();
    if (weight_.input_scale != Checkpoint::kNotFound) {
      checks_.RequireScalar(weight_.input_scale, dtypes);
    }
  }

  void ResolveFp8() {
    if (packed()) checks_.RequireDtype(weight_.main, {DType::kU8, DType::kI32});
    const size_t scale = RequireScale(".weight_scale, .weight_scale_inv or .scale");
    checks_.RequireMatrix(weight_.main);
    checks_.RequireDtype(weight_.main, {DType::kF8E4M3});
    checks_.RequireDtype(scale,
                         {DType::kF32, DType::kBF16, DType::kF16, DType::kF8E8M0, DType::kU8});
    SetFp8Blocks(scale);
    SetInputScale({DType::kF32, DType::kBF16, DType::kF16});
  }

  void SetFp8Blocks(size_t scale) {
    const int64_t whole_row = std::max<int64_t>(1, weight_.columns());
    switch (weight_.format) {
      case WeightFormat::kMxfp8:
        return SetWholeBlocks(scale, quantizers::kMxfp8BlockSize);
      case WeightFormat::kFp8Tensor:
        return SetBlocks(scale, {std::max<int64_t>(1, weight_.rows()), whole_row});
      case WeightFormat::kFp8Channel:
        return SetBlocks(scale, {1, whole_row});
      default:
        break;
    }
    // ModelOpt writes blocks as [rows, 1, columns, 1].
    const std::vector<int64_t> grid = Grid(hints_.fp8_block);
    if (Info(scale).shape != std::vector<int64_t>{grid[0], 1, grid[1], 1}) {
      checks_.RequireShape(scale, grid);
    }
    SetBlocks(scale, hints_.fp8_block);
  }

  // Two codes a byte along a row.
  void WidenColumns() {
    checks_.RequireMatrix(weight_.main);
    if (__builtin_mul_overflow(weight_.shape[1], kNibblesPerByte, &weight_.shape[1])) {
      checks_.Fail(ErrorCode::kWrongShape, weight_.main, "has too many columns");
    }
  }

  void ResolveMxfp4() {
    const size_t scale = RequireScale(".weight_scale");
    WidenColumns();
    checks_.RequireDtype(weight_.main, {DType::kU8, DType::kI8});
    checks_.RequireDtype(scale, {DType::kF8E8M0, DType::kU8});
    SetWholeBlocks(scale, quantizers::kMxfp4BlockSize);
  }

  void ResolveNvfp4() {
    const Part global = packed() ? Part::kGlobalDivisor : Part::kGlobalScale;
    const size_t scale = RequireScale(".weight_scale");
    if (!group_.Has(global)) {
      FailMissing(ErrorCode::kMissingScale, packed() ? ".weight_global_scale" : ".weight_scale_2");
    }
    WidenColumns();
    checks_.RequireDtype(weight_.main, {DType::kU8});
    checks_.RequireDtype(scale, {DType::kF8E4M3});
    checks_.RequireScalar(group_[global], {DType::kF32});
    const bool wide = weight_.format == WeightFormat::kNvfp4Wide;
    SetWholeBlocks(scale, (wide ? 2 : 1) * quantizers::kNvfp4BlockSize);
    weight_.global_scale = group_[global];
    weight_.global_scale_is_divisor = packed();
    SetInputScale({DType::kF32});
  }

  void ResolveInt4() {
    const size_t scale = RequireScale(".weight_scale");
    if (!group_.Has(Part::kPackedShape)) FailMissing(ErrorCode::kMissingTensor, ".weight_shape");
    checks_.RequireMatrix(weight_.main);
    checks_.RequireDtype(weight_.main, {DType::kI32});
    checks_.RequireDtype(scale, {DType::kBF16, DType::kF16, DType::kF32});
    weight_.shape = ReadInt4Shape(group_[Part::kPackedShape]);
    weight_.packed_shape = group_[Part::kPackedShape];
    SetGroups(scale, kInt4PerWord);
    if (weight_.format == WeightFormat::kInt4Zero) SetZeroPoint();
  }

  // Zero points have the packing of the codes, along the rows.
  void SetZeroPoint() {
    weight_.zero_point = group_[Part::kZeroPoint];
    checks_.RequireDtype(weight_.zero_point, {DType::kI32});
    checks_.RequireShape(weight_.zero_point, {CeilDivide(weight_.rows(), kInt4PerWord),
                                              weight_.columns() / weight_.block_columns});
  }

  void ResolveInt4Rows() {
    const size_t scale = RequireScale(".weight_scale");
    checks_.RequireMatrix(weight_.main);
    if (__builtin_mul_overflow(weight_.shape[0], kNibblesPerByte, &weight_.shape[0])) {
      checks_.Fail(ErrorCode::kWrongShape, weight_.main, "has too many rows");
    }
    checks_.RequireDtype(weight_.main, {DType::kU8});
    checks_.RequireDtype(scale, {DType::kBF16, DType::kF16, DType::kF32});
    SetGroups(scale, 1);
    SetInputScale({DType::kF32});
  }

  // One scale for equal groups of columns, each of whole units.
  void SetGroups(size_t scale, int64_t unit) {
    const std::vector<int64_t>& scales = Info(scale).shape;
    const bool whole_groups = scales.size() == 2 && scales[0] == weight_.rows() && scales[1] > 0 &&
                              weight_.columns() % (unit * scales[1]) == 0;
    if (!whole_groups) {
      checks_.Fail(ErrorCode::kWrongShape, scale,
                   "has the shape " + ShapeText(scales) + ", which does not divide the weight's " +
                       ShapeText(weight_.shape) + " into groups of whole " +
                       (unit == 1 ? "columns" : "words"));
    }
    SetBlocks(scale, {1, std::max<int64_t>(1, weight_.columns() / scales[1])});
  }

  // The values' shape is a tensor, because the packed one would leave its last word open.
  std::vector<int64_t> ReadInt4Shape(size_t tensor) const {
    checks_.RequireDtype(tensor, {DType::kI64});
    checks_.RequireShape(tensor, {2});
    std::vector<int64_t> shape(2);
    checkpoint_.Read(tensor, 0, std::as_writable_bytes(std::span(shape)));
    const std::vector<int64_t>& words = Info(weight_.main).shape;
    const bool fits = shape[0] == words[0] && shape[1] > 0 && shape[1] % kInt4PerWord == 0 &&
                      shape[1] / kInt4PerWord == words[1];
    if (!fits) {
      checks_.Fail(ErrorCode::kWrongShape, tensor,
                   "says " + ShapeText(shape) + ", which " + ShapeText(words) +
                       " words of eight 4-bit integers do not hold exactly");
    }
    return shape;
  }

  const Checkpoint& checkpoint_;
  TensorChecks checks_;
  const FormatHints& hints_;
  const TensorGroup& group_;
  LogicalWeight& weight_;
};

}  // namespace

void ResolveParts(const Checkpoint& checkpoint, const FormatHints& hints, const TensorGroup& group,
                  LogicalWeight* weight) {
  PartResolver(checkpoint, hints, group, weight).Resolve();
}

}  // namespace vernier::checkpoint

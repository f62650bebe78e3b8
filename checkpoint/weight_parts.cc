#include "checkpoint/weight_parts.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "checkpoint/tensor_checks.h"
#include "quantizers/mxfp4.h"
#include "quantizers/mxfp8.h"
#include "quantizers/nvfp4.h"

namespace vernier::checkpoint {
namespace {

constexpr std::string_view kInputScaleSuffix = ".input_scale";
constexpr std::string_view kShapeSuffix = ".weight_shape";
constexpr std::array<std::string_view, 3> kScaleSuffixes = {".scale", ".weight_scale_inv",
                                                            ".weight_scale"};
constexpr int64_t kInt4PerWord = 8;

// How a toolkit names the scalars of NVFP4.
struct Nvfp4Names {
  std::string_view global_scale;
  std::string_view input_scale;
  bool divisors = false;
};
constexpr Nvfp4Names kModeloptNames = {".weight_scale_2", kInputScaleSuffix, false};
constexpr Nvfp4Names kCompressedTensorsNames = {".weight_global_scale", ".input_global_scale",
                                                true};

// Tensors without which a weight's values cannot be told, in schemes that are not read.
struct ForeignPart {
  std::string_view suffix;
  std::string_view meaning;
};
constexpr std::array<ForeignPart, 3> kForeignParts = {{
    {".weight_zero_point", "asymmetric quantisation"},
    {".weight_g_idx", "columns in another order"},
    {".pre_quant_scale", "inputs that are scaled first"},
}};

int64_t CeilDivide(int64_t a, int64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

class PartResolver {
 public:
  PartResolver(const Checkpoint& checkpoint, const BlockSize& fp8_block, LogicalWeight* weight)
      : checkpoint_(checkpoint), checks_(checkpoint), fp8_block_(fp8_block), weight_(*weight) {}

  void Resolve() {
    const bool packed = Info(weight_.main).name.ends_with(kPackedSuffix);
    if (packed) RefuseTwin();
    switch (Info(weight_.main).dtype) {
      case DType::kF8E4M3:
        RefusePackedName(packed);
        return ResolveFp8();
      case DType::kU8:
      case DType::kI8:
        return ResolveFp4(packed);
      case DType::kI32:
        if (packed) ResolveInt4();
        return;
      default:
        return RefusePackedName(packed);
    }
  }

 private:
  const TensorInfo& Info(size_t tensor) const { return checks_.Info(tensor); }

  void RefusePackedName(bool packed) const {
    if (packed) checks_.RequireDtype(weight_.main, {DType::kU8, DType::kI32});
  }

  void RefuseTwin() const {
    const size_t twin = FindPart(kWeightSuffix);
    if (twin == Checkpoint::kNotFound) return;
    checks_.Fail(ErrorCode::kAmbiguousScale, weight_.main,
                 "stands beside " + Info(twin).name + ", which is the same weight");
  }

  size_t FindPart(std::string_view suffix) const {
    return checkpoint_.Find(weight_.module + std::string(suffix));
  }

  [[noreturn]] void FailMissing(ErrorCode code, std::string_view expected) const {
    checks_.Fail(code, weight_.main,
                 "is " + Info(weight_.main).dtype_name + " but has no " + weight_.module +
                     std::string(expected));
  }

  void RefuseForeignParts() const {
    for (const ForeignPart& part : kForeignParts) {
      const size_t found = FindPart(part.suffix);
      if (found == Checkpoint::kNotFound) continue;
      checks_.Fail(
          ErrorCode::kUnsupportedFormat, weight_.main,
          "stands beside " + Info(found).name + ", which means " + std::string(part.meaning));
    }
  }

  // The weight's block scales under any of their names, or kNotFound.
  size_t FindScale() const {
    size_t found = Checkpoint::kNotFound;
    for (const std::string_view suffix : kScaleSuffixes) {
      const size_t part = FindPart(suffix);
      if (part == Checkpoint::kNotFound) continue;
      if (found != Checkpoint::kNotFound) {
        checks_.Fail(ErrorCode::kAmbiguousScale, weight_.main,
                     "has both " + Info(found).name + " and " + Info(part).name);
      }
      found = part;
    }
    return found;
  }

  std::vector<int64_t> Grid(const BlockSize& block) const {
    return {CeilDivide(weight_.rows(), block.rows), CeilDivide(weight_.columns(), block.columns)};
  }

  void SetBlocks(WeightFormat format, size_t scale, const BlockSize& block) {
    weight_.format = format;
    weight_.scale = scale;
    weight_.block_rows = block.rows;
    weight_.block_columns = block.columns;
  }

  void SetWholeBlocks(WeightFormat format, size_t scale, int64_t block_columns) {
    if (weight_.columns() % block_columns != 0) {
      checks_.Fail(ErrorCode::kWrongShape, weight_.main,
                   "has " + std::to_string(weight_.columns()) + " columns, which blocks of " +
                       std::to_string(block_columns) + " do not divide");
    }
    const BlockSize block = {1, block_columns};
    checks_.RequireShape(scale, Grid(block));
    SetBlocks(format, scale, block);
  }

  void ResolveFp8() {
    const size_t scale = FindScale();
    if (scale == Checkpoint::kNotFound) {
      FailMissing(ErrorCode::kMissingScale, ".weight_scale, .weight_scale_inv or .scale");
    }
    RefuseForeignParts();
    checks_.RequireMatrix(weight_.main);
    checks_.RequireDtype(scale,
                         {DType::kF32, DType::kBF16, DType::kF16, DType::kF8E8M0, DType::kU8});
    if (HasMxfp8Scales(scale)) {
      SetWholeBlocks(WeightFormat::kMxfp8, scale, quantizers::kMxfp8BlockSize);
    } else {
      SetFp8Blocks(scale);
    }
    const size_t input_scale = FindPart(kInputScaleSuffix);
    if (input_scale == Checkpoint::kNotFound) return;
    checks_.RequireScalar(input_scale, {DType::kF32, DType::kBF16, DType::kF16});
    weight_.input_scale = input_scale;
  }

  bool HasMxfp8Scales(size_t scale) const {
    if (Info(scale).dtype == DType::kU8) return true;
    const std::vector<int64_t>& shape = Info(scale).shape;
    return Info(scale).dtype == DType::kF8E8M0 && shape != Grid(fp8_block_) &&
           shape == Grid({1, quantizers::kMxfp8BlockSize});
  }

  // One scale, one per row (with or without a second dimension of 1), or one per block; ModelOpt
  // writes blocks as [rows, 1, columns, 1].
  void SetFp8Blocks(size_t scale) {
    const std::vector<int64_t>& shape = Info(scale).shape;
    const std::vector<int64_t> grid = Grid(fp8_block_);
    const bool is_float = Info(scale).dtype != DType::kF8E8M0;
    const int64_t rows = weight_.rows();
    const int64_t whole_row = std::max<int64_t>(1, weight_.columns());
    if (is_float && (shape.empty() || shape == std::vector<int64_t>{1})) {
      return SetBlocks(WeightFormat::kFp8Tensor, scale, {std::max<int64_t>(1, rows), whole_row});
    }
    const bool per_row =
        shape == std::vector<int64_t>{rows} || shape == std::vector<int64_t>{rows, 1};
    if (is_float && per_row && shape != grid) {
      return SetBlocks(WeightFormat::kFp8Channel, scale, {1, whole_row});
    }
    if (shape != std::vector<int64_t>{grid[0], 1, grid[1], 1}) checks_.RequireShape(scale, grid);
    SetBlocks(WeightFormat::kFp8Block, scale, fp8_block_);
  }

  // Two FP4 codes a byte: MXFP4 or NVFP4, as the dtype of the scales says.
  void ResolveFp4(bool packed) {
    const Nvfp4Names& names = packed ? kCompressedTensorsNames : kModeloptNames;
    const size_t scale = FindScale();
    const size_t global_scale = FindPart(names.global_scale);
    if (scale == Checkpoint::kNotFound) {
      // An integer table unless something says that it is a matrix.
      const bool table = !packed && !weight_.linear && global_scale == Checkpoint::kNotFound;
      if (table) return;
      FailMissing(ErrorCode::kMissingScale, ".weight_scale");
    }
    RefuseForeignParts();
    checks_.RequireMatrix(weight_.main);
    if (__builtin_mul_overflow(weight_.shape[1], 2, &weight_.shape[1])) {
      checks_.Fail(ErrorCode::kWrongShape, weight_.main, "has too many columns");
    }
    if (global_scale != Checkpoint::kNotFound || Info(scale).dtype == DType::kF8E4M3) {
      return ResolveNvfp4(scale, global_scale, names);
    }
    checks_.RequireDtype(scale, {DType::kF8E8M0, DType::kU8});
    SetWholeBlocks(WeightFormat::kMxfp4, scale, quantizers::kMxfp4BlockSize);
  }

  void ResolveNvfp4(size_t scale, size_t global_scale, const Nvfp4Names& names) {
    if (global_scale == Checkpoint::kNotFound) {
      FailMissing(ErrorCode::kMissingScale, names.global_scale);
    }
    checks_.RequireDtype(weight_.main, {DType::kU8});
    checks_.RequireDtype(scale, {DType::kF8E4M3});
    checks_.RequireScalar(global_scale, {DType::kF32});
    SetWholeBlocks(WeightFormat::kNvfp4, scale, quantizers::kNvfp4BlockSize);
    weight_.global_scale = global_scale;
    weight_.global_scale_is_divisor = names.divisors;
    weight_.input_scale = FindPart(names.input_scale);
    if (weight_.input_scale != Checkpoint::kNotFound) {
      checks_.RequireScalar(weight_.input_scale, {DType::kF32});
    }
  }

  void ResolveInt4() {
    const size_t scale = FindScale();
    if (scale == Checkpoint::kNotFound) FailMissing(ErrorCode::kMissingScale, ".weight_scale");
    const size_t shape = FindPart(kShapeSuffix);
    if (shape == Checkpoint::kNotFound) FailMissing(ErrorCode::kMissingTensor, kShapeSuffix);
    RefuseForeignParts();
    checks_.RequireMatrix(weight_.main);
    checks_.RequireDtype(scale, {DType::kBF16, DType::kF16, DType::kF32});
    weight_.shape = ReadInt4Shape(shape);
    weight_.packed_shape = shape;
    const std::vector<int64_t>& scales = Info(scale).shape;
    const bool whole_groups = scales.size() == 2 && scales[0] == weight_.rows() && scales[1] > 0 &&
                              weight_.columns() % (kInt4PerWord * scales[1]) == 0;
    if (!whole_groups) {
      checks_.Fail(ErrorCode::kWrongShape, scale,
                   "has the shape " + ShapeText(scales) + ", which does not divide the weight's " +
                       ShapeText(weight_.shape) + " into groups of whole words");
    }
    SetBlocks(WeightFormat::kInt4, scale, {1, weight_.columns() / scales[1]});
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
  BlockSize fp8_block_;
  LogicalWeight& weight_;
};

}  // namespace

bool IsPartName(std::string_view name) {
  const auto is_suffix = [name](std::string_view suffix) { return name.ends_with(suffix); };
  return std::any_of(kScaleSuffixes.begin(), kScaleSuffixes.end(), is_suffix) ||
         is_suffix(kShapeSuffix) || is_suffix(kModeloptNames.global_scale) ||
         is_suffix(kModeloptNames.input_scale) || is_suffix(kCompressedTensorsNames.global_scale) ||
         is_suffix(kCompressedTensorsNames.input_scale) ||
         std::any_of(kForeignParts.begin(), kForeignParts.end(),
                     [&](const ForeignPart& part) { return is_suffix(part.suffix); });
}

void ResolveParts(const Checkpoint& checkpoint, const BlockSize& fp8_block, LogicalWeight* weight) {
  PartResolver(checkpoint, fp8_block, weight).Resolve();
}

}  // namespace vernier::checkpoint

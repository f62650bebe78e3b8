#include "checkpoint/formats/part_resolver.h"

#include <algorithm>
#include <span>

#include "base/rounding.h"
#include "checkpoint/formats/int4_words.h"

namespace vernier::checkpoint {

void PartResolver::FailMissing(ErrorCode code, std::string_view expected) const {
  checks.Fail(code, weight.main,
              "is " + Info(weight.main).dtype_name + " but has no " + weight.module +
                  std::string(expected));
}

size_t PartResolver::RequireScale(std::string_view names) const {
  if (group.AnyScale() == Checkpoint::kNotFound) FailMissing(ErrorCode::kMissingScale, names);
  return group.AnyScale();
}

std::vector<int64_t> PartResolver::Grid(const BlockSize& block) const {
  return {CeilDivide(weight.rows(), block.rows), CeilDivide(weight.columns(), block.columns)};
}

void PartResolver::SetBlocks(size_t scale, const BlockSize& block) {
  weight.scale = scale;
  weight.block_rows = block.rows;
  weight.block_columns = block.columns;
}

void PartResolver::SetWholeBlocks(size_t scale, int64_t columns) {
  if (weight.columns() % columns != 0) {
    checks.Fail(ErrorCode::kWrongShape, weight.main,
                "has " + std::to_string(weight.columns()) + " columns, which blocks of " +
                    std::to_string(columns) + " do not divide");
  }
  const BlockSize block = {1, columns};
  checks.RequireShape(scale, Grid(block));
  SetBlocks(scale, block);
}

void PartResolver::SetGroups(size_t scale, int64_t unit) {
  const std::vector<int64_t>& scales = Info(scale).shape;
  const bool whole_groups = scales.size() == 2 && scales[0] == weight.rows() && scales[1] > 0 &&
                            weight.columns() % (unit * scales[1]) == 0;
  if (!whole_groups) {
    checks.Fail(ErrorCode::kWrongShape, scale,
                "has the shape " + ShapeText(scales) + ", which does not divide the weight's " +
                    ShapeText(weight.shape) + " into groups of whole " +
                    (unit == 1 ? "columns" : "words"));
  }
  SetBlocks(scale, {1, std::max<int64_t>(1, weight.columns() / scales[1])});
}

void PartResolver::SetInputScale(std::initializer_list<DType> dtypes) {
  weight.input_scale = group.AnyInputScale();
  if (weight.input_scale != Checkpoint::kNotFound) checks.RequireScalar(weight.input_scale, dtypes);
}

void PartResolver::DoubleColumns() { Double(1, "columns"); }
void PartResolver::DoubleRows() { Double(0, "rows"); }

void PartResolver::Double(size_t dimension, std::string_view what) {
  checks.RequireMatrix(weight.main);
  if (__builtin_mul_overflow(weight.shape[dimension], int64_t{2}, &weight.shape[dimension])) {
    checks.Fail(ErrorCode::kWrongShape, weight.main, "has too many " + std::string(what));
  }
}

void PartResolver::SetShapeOfWords() {
  const size_t tensor = group[Part::kPackedShape];
  checks.RequireDtype(tensor, {DType::kI64});
  checks.RequireShape(tensor, {2});
  std::vector<int64_t> shape(2);
  checkpoint_.Read(tensor, 0, std::as_writable_bytes(std::span(shape)));
  const std::vector<int64_t>& words = Info(weight.main).shape;
  const bool fits = shape[0] == words[0] && shape[1] > 0 && shape[1] % kInt4PerWord == 0 &&
                    shape[1] / kInt4PerWord == words[1];
  if (!fits) {
    checks.Fail(ErrorCode::kWrongShape, tensor,
                "says " + ShapeText(shape) + ", which " + ShapeText(words) +
                    " words of eight 4-bit integers do not hold exactly");
  }
  weight.shape = std::move(shape);
  weight.packed_shape = tensor;
}

}  // namespace vernier::checkpoint

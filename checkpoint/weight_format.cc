#include "checkpoint/weight_format.h"

#include <array>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/rounding.h"
#include "quantizers/mxfp8.h"
#include "quantizers/nvfp4.h"

namespace vernier::checkpoint {
namespace {

struct FormatRow {
  WeightFormat format;
  std::string_view name;
  bool quantised = true;
  bool readable = true;
};

constexpr auto kFormats = std::to_array<FormatRow>({
    {WeightFormat::kPlain, "plain", false, false},
    {WeightFormat::kInteger, "integer", false, false},
    {WeightFormat::kFp8Tensor, "fp8_tensor"},
    {WeightFormat::kFp8Channel, "fp8_channel"},
    {WeightFormat::kFp8Block, "fp8_block"},
    {WeightFormat::kMxfp8, "mxfp8"},
    {WeightFormat::kMxfp4, "mxfp4"},
    {WeightFormat::kNvfp4, "nvfp4"},
    {WeightFormat::kNvfp4Wide, "nvfp4_block32"},
    {WeightFormat::kInt4, "int4"},
    {WeightFormat::kInt4Zero, "int4_asymmetric"},
    {WeightFormat::kInt4Rows, "int4_modelopt"},
    {WeightFormat::kInt8, "int8", true, false},
    {WeightFormat::kStackedFp8, "stacked_fp8", true, false},
    {WeightFormat::kStackedMxfp4, "stacked_mxfp4", true, false},
    {WeightFormat::kStackedNvfp4, "stacked_nvfp4", true, false},
    {WeightFormat::kGptq, "gptq", true, false},
    {WeightFormat::kAwq, "awq", true, false},
    {WeightFormat::kBitsAndBytes, "bitsandbytes", true, false},
    {WeightFormat::kOtherQuantised, "other_quantised", true, false},
    {WeightFormat::kOpaque, "opaque", false, false},
});

const FormatRow& RowOf(WeightFormat format) { return kFormats.at(static_cast<size_t>(format)); }

constexpr bool RowsAreInOrder() {
  for (size_t i = 0; i < kFormats.size(); ++i) {
    if (static_cast<size_t>(kFormats[i].format) != i) return false;
  }
  return true;
}
static_assert(RowsAreInOrder());

bool IsE8m0(DType dtype) { return dtype == DType::kU8 || dtype == DType::kF8E8M0; }

bool IsFloat(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
}

class Classifier {
 public:
  Classifier(const Checkpoint& checkpoint, const TensorGroup& group, const FormatHints& hints,
             bool linear)
      : checkpoint_(checkpoint),
        group_(group),
        hints_(hints),
        linear_(linear),
        main_(checkpoint.tensor(group.Main()).info),
        scale_(InfoOf(group.AnyScale())) {}

  // Values that engines multiply with scaled inputs, or find in another order, are not what their
  // format alone says.
  WeightFormat Classify() const {
    const WeightFormat format = ClassifyValues();
    const bool changed = group_.Has(Part::kPreQuantScale) || group_.Has(Part::kColumnOrder) ||
                         (group_.Has(Part::kZeroPoint) && format != WeightFormat::kInt4Zero);
    return IsReadable(format) && changed ? WeightFormat::kOtherQuantised : format;
  }

 private:
  WeightFormat ClassifyValues() const {
    if (group_.Has(Part::kCodes)) return Codes();
    if (group_.stacked) return Stacked();
    // Parts of a foreign scheme stand beside it.
    if (!group_.others.empty() && !IsFloat(main_.dtype)) return WeightFormat::kBitsAndBytes;
    switch (main_.dtype) {
      case DType::kF16:
      case DType::kBF16:
      case DType::kF32:
        return WeightFormat::kPlain;
      case DType::kF8E4M3:
        return Fp8();
      case DType::kU8:
      case DType::kI8:
      case DType::kF4:
        return Bytes();
      case DType::kI32:
        return group_.Has(Part::kPackedWeight) ? PackedIntegers() : WeightFormat::kInteger;
      case DType::kBool:
      case DType::kI16:
      case DType::kU16:
      case DType::kU32:
      case DType::kI64:
      case DType::kU64:
        return WeightFormat::kInteger;
      default:
        return WeightFormat::kOpaque;
    }
  }

  const TensorInfo* InfoOf(size_t tensor) const {
    return tensor == Checkpoint::kNotFound ? nullptr : &checkpoint_.tensor(tensor).info;
  }

  bool IsMatrix() const { return main_.shape.size() == 2; }

  // X.qweight of GPTQ or AWQ, which only the configuration tells apart for sure; or gpt-oss's
  // blocks.
  WeightFormat Codes() const {
    if (group_.stacked) return WeightFormat::kStackedMxfp4;
    if (hints_.quant_method == "awq") return WeightFormat::kAwq;
    return WeightFormat::kGptq;
  }

  WeightFormat Stacked() const {
    if (main_.dtype == DType::kF8E4M3) return WeightFormat::kStackedFp8;
    if (main_.dtype != DType::kU8 && main_.dtype != DType::kI8) return WeightFormat::kPlain;
    const bool has_global = group_.AnyGlobalScale() != Checkpoint::kNotFound;
    const bool e8m0 = scale_ != nullptr && IsE8m0(scale_->dtype);
    return e8m0 && !has_global ? WeightFormat::kStackedMxfp4 : WeightFormat::kStackedNvfp4;
  }

  std::vector<int64_t> Grid(const BlockSize& block) const {
    return {CeilDivide(main_.shape[0], block.rows), CeilDivide(main_.shape[1], block.columns)};
  }

  WeightFormat Fp8() const {
    if (scale_ == nullptr || !IsMatrix()) return WeightFormat::kFp8Block;
    const std::vector<int64_t>& shape = scale_->shape;
    const std::vector<int64_t> grid = Grid(hints_.fp8_block);
    if (IsE8m0(scale_->dtype)) {
      const bool mxfp8 = scale_->dtype == DType::kU8 ||
                         (shape != grid && shape == Grid({1, quantizers::kMxfp8BlockSize}));
      return mxfp8 ? WeightFormat::kMxfp8 : WeightFormat::kFp8Block;
    }
    if (shape.empty() || shape == std::vector<int64_t>{1}) return WeightFormat::kFp8Tensor;
    const int64_t rows = main_.shape[0];
    const bool per_row =
        shape == std::vector<int64_t>{rows} || shape == std::vector<int64_t>{rows, 1};
    return per_row && shape != grid ? WeightFormat::kFp8Channel : WeightFormat::kFp8Block;
  }

  // Two FP4 codes a byte, or integers of 8 or 4 bits.
  WeightFormat Bytes() const {
    const bool packed = group_.Has(Part::kPackedWeight);
    const bool has_global = group_.AnyGlobalScale() != Checkpoint::kNotFound;
    if (scale_ == nullptr && !has_global) return BytesWithoutScale(packed);
    if (has_global || (scale_ != nullptr && scale_->dtype == DType::kF8E4M3)) return Nvfp4();
    const bool named_by_toolkit = group_.Has(Part::kWeightScale);
    if (!named_by_toolkit || !IsFloat(scale_->dtype)) return WeightFormat::kMxfp4;
    if (main_.dtype == DType::kI8) return WeightFormat::kInt8;
    return IsRowPairs() ? WeightFormat::kInt4Rows : WeightFormat::kOtherQuantised;
  }

  // An integer table, unless something says that it is a matrix that lost its scales.
  WeightFormat BytesWithoutScale(bool packed) const {
    const bool has_input = group_.AnyInputScale() != Checkpoint::kNotFound;
    if (group_.bare || (!packed && !linear_ && !has_input)) return WeightFormat::kInteger;
    return main_.dtype == DType::kU8 ? WeightFormat::kNvfp4 : WeightFormat::kMxfp4;
  }

  WeightFormat Nvfp4() const {
    if (!hints_.nvfp4_blocks_of_32 || scale_ == nullptr || !IsMatrix()) {
      return WeightFormat::kNvfp4;
    }
    constexpr int64_t kWideBlock = 2 * quantizers::kNvfp4BlockSize;
    const std::vector<int64_t> wide = {main_.shape[0], 2 * main_.shape[1] / kWideBlock};
    return scale_->shape == wide ? WeightFormat::kNvfp4Wide : WeightFormat::kNvfp4;
  }

  // Each byte holds an element of two neighbouring rows, so that the scales have twice its rows.
  bool IsRowPairs() const {
    return IsMatrix() && scale_->shape.size() == 2 && scale_->shape[0] == 2 * main_.shape[0];
  }

  // How many integers share a 32-bit word; nothing without a shape that says so.
  std::optional<int64_t> IntegersPerWord() const {
    const TensorInfo* shape = InfoOf(group_[Part::kPackedShape]);
    const bool readable = shape != nullptr && shape->dtype == DType::kI64 &&
                          shape->shape == std::vector<int64_t>{2} && IsMatrix();
    if (!readable) return std::nullopt;
    std::array<int64_t, 2> values = {};
    checkpoint_.Read(group_[Part::kPackedShape], 0, std::as_writable_bytes(std::span(values)));
    const int64_t words = main_.shape[1];
    if (words <= 0 || values[1] <= 0) return std::nullopt;
    return CeilDivide(values[1], words);
  }

  WeightFormat PackedIntegers() const {
    constexpr int64_t kInt8PerWord = 4;
    const int64_t per_word = IntegersPerWord().value_or(kInt4PerWord);
    if (per_word == kInt8PerWord) return WeightFormat::kInt8;
    if (per_word < kInt4PerWord) return WeightFormat::kOtherQuantised;  // of 5, 6 or 7 bits
    return group_.Has(Part::kZeroPoint) ? WeightFormat::kInt4Zero : WeightFormat::kInt4;
  }

  const Checkpoint& checkpoint_;
  const TensorGroup& group_;
  const FormatHints& hints_;
  bool linear_;
  const TensorInfo& main_;
  const TensorInfo* scale_;
};

}  // namespace

std::string_view WeightFormatName(WeightFormat format) { return RowOf(format).name; }
bool IsQuantised(WeightFormat format) { return RowOf(format).quantised; }
bool IsReadable(WeightFormat format) { return RowOf(format).readable; }

bool IsNvfp4(WeightFormat format) {
  return format == WeightFormat::kNvfp4 || format == WeightFormat::kNvfp4Wide;
}

WeightFormat ClassifyGroup(const Checkpoint& checkpoint, const TensorGroup& group,
                           const FormatHints& hints, bool linear) {
  return Classifier(checkpoint, group, hints, linear).Classify();
}

}  // namespace vernier::checkpoint

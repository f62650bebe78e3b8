#include <string>
#include <vector>

#include "audit/rules.h"
#include "base/rounding.h"
#include "checkpoint/block_size.h"
#include "checkpoint/tensor_group.h"
#include "quantizers/mxfp4.h"
#include "quantizers/mxfp8.h"
#include "quantizers/nvfp4.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using checkpoint::TensorInfo;

constexpr std::string_view kExportAgain = "Export this weight again";
constexpr Defect kMissingScale = {
    "V02", Severity::kError, "a quantised weight lacks a scale",
    "Export this weight again: engines read memory that was never set"};
constexpr Defect kOrphanScale = {"B04", Severity::kError, "a scale belongs to no weight",
                                 "Restore the weight or remove its scales"};
constexpr Defect kPlainWithScale = {"B04", Severity::kError,
                                    "a weight that is not quantised has scales", kExportAgain};
constexpr Defect kWrongDtype = {"B04", Severity::kError,
                                "a tensor has another dtype than its format demands",
                                "Export this weight again: engines convert or misread it silently"};
constexpr Defect kWrongShape = {"B04", Severity::kError,
                                "a tensor has another shape than its format demands",
                                "Export this weight again: engines narrow it silently"};
constexpr Defect kTinyWeight = {"V10", Severity::kWarning, "an NVFP4 weight has fewer than 64 rows",
                                "Leave it in its source format: some kernels refuse it"};

constexpr int64_t kMinNvfp4Rows = 64;
constexpr int64_t kNibblesPerByte = 2;
constexpr int64_t kInt4PerWord = 8;

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t size : shape) text += (text.size() > 1 ? "," : "") + std::to_string(size);
  return text + "]";
}

class FormatChecker {
 public:
  FormatChecker(const Subject& subject, FindingList* findings)
      : subject_(subject), findings_(findings), fp8_block_(subject.index.fp8_block) {}

  void Check(const Module& module) const {
    if (module.weight == kAbsent) {
      findings_->Add(kOrphanScale, module.name);
      return;
    }
    if (!IsJudged(module.format)) return;
    if (!IsQuantised(module.format)) return CheckUnquantised(module);
    struct Row {
      const checkpoint::Codec* format;
      void (FormatChecker::*check)(const Module& module) const;
    };
    static constexpr auto kRows = std::to_array<Row>({
        {&formats::kNvfp4, &FormatChecker::CheckNvfp4<quantizers::kNvfp4BlockSize>},
        {&formats::kNvfp4Wide, &FormatChecker::CheckNvfp4<2 * quantizers::kNvfp4BlockSize>},
        {&formats::kFp8Tensor, &FormatChecker::CheckFp8Scalar},
        {&formats::kFp8Channel, &FormatChecker::CheckFp8Rows},
        {&formats::kFp8Block, &FormatChecker::CheckFp8Block},
        {&formats::kMxfp4, &FormatChecker::CheckMx<kNibblesPerByte>},
        {&formats::kMxfp8, &FormatChecker::CheckMx<1>},
        {&formats::kInt4, &FormatChecker::CheckInt4},
        {&formats::kInt4Zero, &FormatChecker::CheckInt4},
        {&formats::kInt4Rows, &FormatChecker::CheckInt4Rows},
    });
    for (const Row& row : kRows) {
      if (module.format == *row.format) return (this->*row.check)(module);
    }
  }

 private:
  const TensorInfo& Weight(const Module& module) const { return subject_.Info(module.weight); }

  bool Require(size_t tensor, const Module& module, std::string_view suffix) const {
    if (tensor == kAbsent) findings_->Add(kMissingScale, module.name + std::string(suffix));
    return tensor != kAbsent;
  }

  void RequireDtype(const TensorInfo& info, std::initializer_list<DType> allowed) const {
    for (const DType dtype : allowed) {
      if (info.dtype == dtype) return;
    }
    findings_->Add(kWrongDtype, info.name + " (" + info.dtype_name + ", not " +
                                    std::string(checkpoint::DTypeName(*allowed.begin())) + ")");
  }

  void RequireShape(const TensorInfo& info, const std::vector<int64_t>& expected) const {
    if (info.shape == expected) return;
    findings_->Add(kWrongShape,
                   info.name + " (" + ShapeText(info.shape) + ", not " + ShapeText(expected) + ")");
  }

  bool RequireMatrix(const TensorInfo& info) const {
    if (info.shape.size() == 2) return true;
    findings_->Add(kWrongShape, info.name + " (" + ShapeText(info.shape) + ", not 2-D)");
    return false;
  }

  void RequireScalar(const TensorInfo& info, std::initializer_list<DType> allowed) const {
    RequireDtype(info, allowed);
    if (info.shape != std::vector<int64_t>{1}) RequireShape(info, {});
  }

  // Scales of the weight itself; a missing one is reported under the name that the dialect gives
  // it.
  const TensorInfo* Scale(const Module& module) const {
    const bool native = subject_.dialect == QuantDialect::kNative;
    const bool present = Require(module.AnyScale(), module, native ? ".scale" : ".weight_scale");
    return present ? &subject_.Info(module.AnyScale()) : nullptr;
  }

  // ModelOpt's float scales are F32; other tools follow the model's dtype.
  void RequireFloatDtype(const TensorInfo& scale) const {
    if (subject_.dialect == QuantDialect::kModelopt) return RequireDtype(scale, {DType::kF32});
    RequireDtype(scale, {DType::kF32, DType::kBF16, DType::kF16});
  }

  // One scale in each row for `width` columns.
  void RequireRowBlocks(const TensorInfo& weight, const TensorInfo& scale, int64_t columns,
                        int64_t width) const {
    if (columns % width != 0) {
      findings_->Add(kWrongShape, weight.name + " (" + std::to_string(columns) +
                                      " columns are no multiple of " + std::to_string(width) + ")");
    }
    RequireShape(scale, {weight.shape[0], columns / width});
  }

  template <int64_t block>
  void CheckNvfp4(const Module& module) const {
    const TensorInfo& weight = Weight(module);
    const bool packed = weight.name.ends_with(checkpoint::kPackedSuffix);
    RequireDtype(weight, {DType::kU8});
    if (Require(module.global_scale, module, packed ? ".weight_global_scale" : ".weight_scale_2")) {
      RequireScalar(subject_.Info(module.global_scale), {DType::kF32});
    }
    const bool needs_input = !subject_.Config().WeightOnly(module.name);
    const std::string_view input_suffix = packed ? ".input_global_scale" : ".input_scale";
    if (needs_input) Require(module.input_scale, module, input_suffix);
    if (module.input_scale != kAbsent) {
      RequireScalar(subject_.Info(module.input_scale), {DType::kF32});
    }
    if (!RequireMatrix(weight)) return;
    if (weight.shape[0] < kMinNvfp4Rows) findings_->Add(kTinyWeight, weight.name);
    if (!Require(module.block_scale, module, ".weight_scale")) return;
    const TensorInfo& scale = subject_.Info(module.block_scale);
    RequireDtype(scale, {DType::kF8E4M3});
    RequireRowBlocks(weight, scale, 2 * weight.shape[1], block);
  }

  void CheckFp8Scalar(const Module& module) const {
    RequireFloatDtype(subject_.Info(module.AnyScale()));  // its shape makes the format
    CheckInputScale(module);
  }

  void CheckFp8Rows(const Module& module) const {
    RequireFloatDtype(subject_.Info(module.AnyScale()));  // its shape makes the format
  }

  void CheckInputScale(const Module& module) const {
    for (const size_t tensor : {module.input_scale, module.activation_scale}) {
      if (tensor == kAbsent) continue;
      RequireScalar(subject_.Info(tensor), {DType::kF32, DType::kBF16, DType::kF16});
    }
  }

  void CheckFp8Block(const Module& module) const {
    const TensorInfo& weight = Weight(module);
    const TensorInfo* scale = Scale(module);
    if (scale == nullptr || !RequireMatrix(weight)) return;
    if (scale->dtype != DType::kF8E8M0) RequireFloatDtype(*scale);
    const int64_t down = CeilDivide(weight.shape[0], fp8_block_.rows);
    const int64_t across = CeilDivide(weight.shape[1], fp8_block_.columns);
    if (scale->shape != std::vector<int64_t>{down, 1, across, 1}) {
      RequireShape(*scale, {down, across});
    }
    CheckInputScale(module);
  }

  template <int64_t values_per_byte>
  void CheckMx(const Module& module) const {
    const TensorInfo& weight = Weight(module);
    const TensorInfo* scale = Scale(module);
    if (scale == nullptr || !RequireMatrix(weight)) return;
    RequireDtype(*scale, {DType::kF8E8M0, DType::kU8});
    static_assert(quantizers::kMxfp4BlockSize == quantizers::kMxfp8BlockSize);
    RequireRowBlocks(weight, *scale, values_per_byte * weight.shape[1],
                     quantizers::kMxfp4BlockSize);
  }

  void CheckInt4(const Module& module) const {
    const TensorInfo& weight = Weight(module);
    const TensorInfo* scale = Scale(module);
    if (!Require(module.packed_shape, module, ".weight_shape")) return;
    const TensorInfo& shape = subject_.Info(module.packed_shape);
    RequireDtype(shape, {DType::kI64});
    RequireShape(shape, {2});
    if (scale == nullptr || !RequireMatrix(weight)) return;
    RequireFloatDtype(*scale);
    const int64_t groups = scale->shape.size() == 2 ? scale->shape[1] : 0;
    const bool whole = groups > 0 && weight.shape[1] % groups == 0;
    if (!whole) RequireShape(*scale, {weight.shape[0], 1});
    if (whole) RequireShape(*scale, {weight.shape[0], groups});
    if (module.zero_point == kAbsent) return;
    const TensorInfo& zero_point = subject_.Info(module.zero_point);
    RequireDtype(zero_point, {DType::kI32});
    if (whole) RequireShape(zero_point, {CeilDivide(weight.shape[0], kInt4PerWord), groups});
  }

  // Two rows a byte; the rows of its scales make the format.
  void CheckInt4Rows(const Module& module) const {
    const TensorInfo& weight = Weight(module);
    const TensorInfo* scale = Scale(module);
    if (scale == nullptr) return;
    RequireDtype(weight, {DType::kU8});
    RequireFloatDtype(*scale);
    const int64_t groups = scale->shape[1];
    if (groups <= 0 || weight.shape[1] % groups != 0) RequireShape(*scale, {scale->shape[0], 1});
  }

  void CheckUnquantised(const Module& module) const {
    for (const size_t part : module.tensors) {
      if (part != module.weight) findings_->Add(kPlainWithScale, subject_.Info(part).name);
    }
  }

  const Subject& subject_;
  FindingList* findings_;
  checkpoint::BlockSize fp8_block_;
};

}  // namespace

void CheckFormats(const Subject& subject, FindingList* findings) {
  const FormatChecker checker(subject, findings);
  for (const Module& module : subject.index.modules) checker.Check(module);
}

}  // namespace vernier::audit

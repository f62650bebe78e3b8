#include <string>
#include <vector>

#include "audit/rules.h"
#include "quantizers/mxfp4.h"
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
constexpr int64_t kDefaultFp8Block = 128;

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t size : shape) text += (text.size() > 1 ? "," : "") + std::to_string(size);
  return text + "]";
}

class FormatChecker {
 public:
  FormatChecker(const Subject& subject, FindingList* findings)
      : subject_(subject), findings_(findings) {
    const std::vector<int64_t>& block = subject.Config().weight_block_size;
    if (block.size() == 2 && block[0] > 0 && block[1] > 0) {
      block_rows_ = block[0];
      block_columns_ = block[1];
    }
  }

  void Check(const Module& module) const {
    if (module.weight == kAbsent) {
      findings_->Add(kOrphanScale, module.name);
      return;
    }
    switch (module.format) {
      case StoredFormat::kNvfp4:
        return CheckNvfp4(module);
      case StoredFormat::kFp8Block:
        return CheckFp8(module);
      case StoredFormat::kMxfp4:
        return CheckMxfp4(module);
      default:
        return CheckUnquantised(module);
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

  void CheckScalar(size_t tensor, const Module& module, std::string_view suffix) const {
    if (!Require(tensor, module, suffix)) return;
    const TensorInfo& info = subject_.Info(tensor);
    RequireDtype(info, {DType::kF32});
    if (info.shape != std::vector<int64_t>{1}) RequireShape(info, {});
  }

  void CheckNvfp4(const Module& module) const {
    const TensorInfo& weight = Weight(module);
    RequireDtype(weight, {DType::kU8});
    CheckScalar(module.global_scale, module, ".weight_scale_2");
    CheckScalar(module.input_scale, module, ".input_scale");
    if (!RequireMatrix(weight)) return;
    const int64_t rows = weight.shape[0];
    const int64_t columns = 2 * weight.shape[1];
    if (rows < kMinNvfp4Rows) findings_->Add(kTinyWeight, weight.name);
    if (columns % quantizers::kNvfp4BlockSize != 0) {
      findings_->Add(kWrongShape, weight.name + " (" + std::to_string(columns) +
                                      " columns are no multiple of 16)");
    }
    if (!Require(module.block_scale, module, ".weight_scale")) return;
    const TensorInfo& scale = subject_.Info(module.block_scale);
    RequireDtype(scale, {DType::kF8E4M3});
    RequireShape(scale, {rows, columns / quantizers::kNvfp4BlockSize});
  }

  // FP8 with one F32 scale for the whole tensor is stored as X.weight_scale.
  void CheckFp8(const Module& module) const {
    const TensorInfo& weight = Weight(module);
    if (module.NativeScale() == kAbsent && module.block_scale != kAbsent) {
      return CheckScalar(module.block_scale, module, ".weight_scale");
    }
    if (!Require(module.NativeScale(), module, ".scale") || !RequireMatrix(weight)) return;
    const TensorInfo& scale = subject_.Info(module.NativeScale());
    RequireDtype(scale, {DType::kF8E8M0, DType::kF32});
    RequireShape(scale, {(weight.shape[0] + block_rows_ - 1) / block_rows_,
                         (weight.shape[1] + block_columns_ - 1) / block_columns_});
  }

  void CheckMxfp4(const Module& module) const {
    const TensorInfo& weight = Weight(module);
    if (!Require(module.NativeScale(), module, ".scale") || !RequireMatrix(weight)) return;
    const TensorInfo& scale = subject_.Info(module.NativeScale());
    RequireDtype(scale, {DType::kF8E8M0, DType::kU8});
    RequireShape(scale, {weight.shape[0], 2 * weight.shape[1] / quantizers::kMxfp4BlockSize});
  }

  void CheckUnquantised(const Module& module) const {
    for (const size_t scale : {module.scale, module.scale_inv, module.block_scale,
                               module.global_scale, module.input_scale}) {
      if (scale != kAbsent) findings_->Add(kPlainWithScale, subject_.Info(scale).name);
    }
  }

  const Subject& subject_;
  FindingList* findings_;
  int64_t block_rows_ = kDefaultFp8Block;
  int64_t block_columns_ = kDefaultFp8Block;
};

}  // namespace

void CheckFormats(const Subject& subject, FindingList* findings) {
  const FormatChecker checker(subject, findings);
  for (const Module& module : subject.index.modules) checker.Check(module);
}

}  // namespace vernier::audit

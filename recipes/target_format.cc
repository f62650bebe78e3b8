#include "recipes/target_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "recipes/recipe_values.h"

namespace vernier::recipes {
namespace {

using checkpoint::WeightFormat;

constexpr std::array kNvfp4Methods = {ScaleMethod::kAuto,     ScaleMethod::kMax,
                                      ScaleMethod::kLossless, ScaleMethod::kFourOverSix,
                                      ScaleMethod::kMse,      ScaleMethod::kLocalHessian,
                                      ScaleMethod::kGptq};
constexpr std::array kMxfp4Methods = {ScaleMethod::kAuto, ScaleMethod::kMax, ScaleMethod::kMse};
constexpr std::array kPlainMethods = {ScaleMethod::kAuto, ScaleMethod::kMax};

constexpr int64_t kNvfp4Block = 16;
constexpr int64_t kMxBlock = 32;
constexpr int64_t kInt4Group = 128;  // compressed-tensors' preset W4A16

}  // namespace

std::string_view TargetFormatName(TargetFormat format) { return NameOf(kTargetFormats, format); }

std::string_view ScaleMethodName(ScaleMethod method) { return NameOf(kScaleMethods, method); }

std::string TargetText(TargetFormat format, ScaleMethod method) {
  if (ScaleMethodsOf(format).size() <= kPlainMethods.size()) {
    return std::string(TargetFormatName(format));
  }
  return fmt::format("{} ({})", TargetFormatName(format), ScaleMethodName(method));
}

bool IsQuantised(TargetFormat format) {
  return format != TargetFormat::kKeep && format != TargetFormat::kBf16;
}

bool IsQuantised(const checkpoint::LogicalWeight& weight) {
  return checkpoint::IsQuantised(weight.format);
}

std::span<const ScaleMethod> ScaleMethodsOf(TargetFormat format) {
  switch (format) {
    case TargetFormat::kKeep:
    case TargetFormat::kBf16:
      return {};
    case TargetFormat::kNvfp4:
      return kNvfp4Methods;
    case TargetFormat::kMxfp4:
      return kMxfp4Methods;
    default:
      return kPlainMethods;
  }
}

bool HasScaleMethod(TargetFormat format, ScaleMethod method) {
  const std::span<const ScaleMethod> methods = ScaleMethodsOf(format);
  return std::ranges::find(methods, method) != methods.end();
}

bool HasInputScale(TargetFormat format) {
  return format == TargetFormat::kNvfp4 || format == TargetFormat::kFp8Tensor;
}

bool HasWholeWeightScale(TargetFormat format) {
  return format == TargetFormat::kNvfp4 || format == TargetFormat::kFp8Tensor;
}

int64_t BlockColumns(TargetFormat format) {
  switch (format) {
    case TargetFormat::kNvfp4:
      return kNvfp4Block;
    case TargetFormat::kMxfp4:
    case TargetFormat::kMxfp8:
      return kMxBlock;
    case TargetFormat::kInt4:
      return kInt4Group;
    default:
      return 1;
  }
}

std::optional<TargetFormat> FormatOf(const checkpoint::LogicalWeight& weight) {
  switch (weight.format) {
    case WeightFormat::kFp8Tensor:
      return TargetFormat::kFp8Tensor;
    case WeightFormat::kFp8Channel:
      return TargetFormat::kFp8Channel;
    case WeightFormat::kFp8Block:
      return TargetFormat::kFp8Block;
    case WeightFormat::kMxfp8:
      return TargetFormat::kMxfp8;
    case WeightFormat::kMxfp4:
      return TargetFormat::kMxfp4;
    case WeightFormat::kNvfp4:
      return TargetFormat::kNvfp4;
    case WeightFormat::kInt4:
      return TargetFormat::kInt4;
    default:
      return std::nullopt;
  }
}

}  // namespace vernier::recipes

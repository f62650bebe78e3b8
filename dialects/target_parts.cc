#include "dialects/target_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "checkpoint/config_facts.h"
#include "checkpoint/families/kv_cache.h"

namespace vernier::dialects {
namespace {

using checkpoint::DType;
using checkpoint::Format;
using checkpoint::ScaleSpan;
using checkpoint::WrittenParts;

// Collects the parts of one weight.
class PartList {
 public:
  explicit PartList(const TargetRequest& request)
      : request_(request),
        dialect_(request.dialect),
        names_(request.dialect.parts),
        parts_(request.format->parts),
        rows_(request.weight.rows()),
        columns_(request.weight.columns()) {}

  std::vector<TargetPart> Take() && {
    if (!request_.format->quantised) {
      list_.push_back(
          {OutputPart::kCodes, request_.weight.name, parts_.codes, request_.weight.shape});
      return std::move(list_);
    }
    AddCodes();
    if (parts_.span != ScaleSpan::kNone) AddScale();
    if (parts_.global_scale) {
      Add(OutputPart::kGlobalScale, names_.global_scale, DType::kF32, OneNumber());
    }
    if (request_.with_input_scale && request_.format->has_input_scale()) AddInputScale();
    if (parts_.shape) Add(OutputPart::kShape, names_.shape, DType::kI64, {2});
    return std::move(list_);
  }

 private:
  void Add(OutputPart part, std::string_view suffix, DType dtype, std::vector<int64_t> shape) {
    list_.push_back({part, request_.weight.module + std::string(suffix), dtype, std::move(shape)});
  }

  std::vector<int64_t> OneNumber() const {
    return dialect_.numbers_have_dimensions ? std::vector<int64_t>{1} : std::vector<int64_t>();
  }

  void AddCodes() {
    const bool packed = parts_.values_per_code > 1;
    Add(OutputPart::kCodes, packed ? names_.packed_codes : names_.codes, parts_.codes,
        {rows_, columns_ / parts_.values_per_code});
  }

  void AddScale() {
    const Fp8Blocks& blocks = request_.fp8_blocks;
    const bool of_blocks = parts_.span == ScaleSpan::kBlock;
    const DType number = of_blocks ? blocks.scale_dtype : dialect_.number;
    Add(OutputPart::kScale, of_blocks ? std::string_view(blocks.scale_suffix) : names_.scale,
        parts_.scale == DType::kOpaque ? number : parts_.scale, ScaleShape());
  }

  std::vector<int64_t> ScaleShape() const {
    const auto [down, across] =
        checkpoint::ScalesOf(parts_, rows_, columns_, request_.fp8_blocks.size);
    switch (parts_.span) {
      case ScaleSpan::kWeight:
        return OneNumber();
      case ScaleSpan::kRow:
        return dialect_.numbers_have_dimensions ? std::vector<int64_t>{down, 1}
                                                : std::vector<int64_t>{down};
      case ScaleSpan::kBlock:
        if (request_.fp8_blocks.four_dimensions) return {down, 1, across, 1};
        return {down, across};
      default:
        return {down, across};
    }
  }

  void AddInputScale() {
    const bool number = parts_.input_scale == WrittenParts::InputScale::kDialectFloat;
    Add(OutputPart::kInputScale,
        parts_.global_scale ? names_.input_global_scale : names_.input_scale,
        number ? dialect_.number : DType::kF32, OneNumber());
  }

  const TargetRequest& request_;
  const Dialect& dialect_;
  const PartNames& names_;
  const WrittenParts& parts_;
  int64_t rows_;
  int64_t columns_;
  std::vector<TargetPart> list_;
};

// Which dialects have it.
std::string OtherDialects(Format format) {
  std::string remedy;
  for (const Dialect* other : Dialects()) {
    if (!other->chosen || other->format_name(format).empty()) continue;
    remedy +=
        fmt::format("{} \"{}\"", remedy.empty() ? "Set export.dialect to" : " or", other->name);
  }
  return remedy.empty() ? "Choose another format" : remedy;
}

}  // namespace

std::vector<TargetPart> TargetParts(const TargetRequest& request) {
  assert(request.format && request.format->written());
  return PartList(request).Take();
}

std::vector<TargetPart> KvScaleParts(const checkpoint::KvCacheEntry& entry,
                                     const Dialect& dialect) {
  std::vector<TargetPart> parts;
  const auto add = [&](const checkpoint::KvScaleName& suffixes) {
    std::string name = entry.attention;
    if (dialect.kv_scales.beside_projections) name += suffixes.projection;
    name += suffixes.scale;
    parts.push_back(
        {OutputPart::kKvScale, std::move(name), dialect.number,
         dialect.numbers_have_dimensions ? std::vector<int64_t>{1} : std::vector<int64_t>()});
  };
  if (entry.keys) add(checkpoint::kKeyScale);
  if (entry.values) add(checkpoint::kValueScale);
  return parts;
}

bool StoresReciprocals(Format format, const Dialect& dialect) {
  return dialect.reciprocals && format->parts.global_scale;
}

void CheckTarget(Format format, const Dialect& dialect, const std::string& subject) {
  if (!checkpoint::IsQuantised(format) || !dialect.format_name(format).empty()) return;
  throw Error(ErrorCode::kBadRule, subject,
              fmt::format("the dialect {} cannot hold {}: {}", dialect.name, format->target,
                          dialect.missing_format),
              dialect.missing_format_remedy.empty() ? OtherDialects(format)
                                                    : std::string(dialect.missing_format_remedy));
}

bool HasNativeConfig(const checkpoint::SourceModel& source) {
  return checkpoint::QuantMethod(source.checkpoint.config()) == "fp8";
}

Fp8Blocks Fp8BlocksOf(const checkpoint::SourceModel& source, const Dialect& dialect) {
  const Fp8Blocks own = {.scale_dtype = dialect.number,
                         .four_dimensions = dialect.blocks_have_four_dimensions};
  if (kNative.extended_by != &dialect || !HasNativeConfig(source)) return own;
  const auto& weights = source.layout.weights;
  const auto native = std::ranges::find_if(weights, [&](const checkpoint::LogicalWeight& weight) {
    return weight.format == checkpoint::formats::kFp8Block &&
           &DialectOf(source, weight) == &kNative;
  });
  if (native == weights.end()) return own;
  const checkpoint::TensorInfo& scale = source.checkpoint.tensor(native->scale).info;
  return {.size = {native->block_rows, native->block_columns},
          .scale_suffix = scale.name.substr(native->module.size()),
          .scale_dtype = scale.dtype,
          .four_dimensions = false,
          .native = true};
}

}  // namespace vernier::dialects

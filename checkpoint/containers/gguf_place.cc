#include "checkpoint/containers/gguf_place.h"

#include <fmt/format.h>

#include <cassert>
#include <charconv>

#include "base/error.h"
#include "checkpoint/containers/gguf_bytes.h"
#include "checkpoint/families/kv_cache.h"
#include "checkpoint/families/skipped_tensors.h"
#include "checkpoint/formats/codec.h"
#include "checkpoint/source_model.h"
#include "checkpoint/tensor_group.h"
#include "quantizers/ggml_blocks.h"
#include "quantizers/mxfp4.h"

namespace vernier::checkpoint::gguf {
namespace {

constexpr std::string_view kScaleSuffix = ".scale", kInputScaleSuffix = ".input_scale";

// What a tensor of the file holds, and how a weight's rows become it.
struct Storage {
  Format format = {};  // none: the source's codes
  RowBlocks blocks = RowBlocks::kCodes;
  std::string_view type;
};
constexpr Storage StorageF32() { return {formats::kF32, RowBlocks::kCodes, "F32"}; }
constexpr Storage StorageBf16() { return {formats::kBf16, RowBlocks::kCodes, "BF16"}; }
constexpr Storage StorageQ8Zero() { return {formats::kQ8Zero, RowBlocks::kQ8Zero, "Q8_0"}; }

const TensorInfo& MainInfo(const SourceModel& source, const LogicalWeight& weight) {
  return source.checkpoint.tensor(weight.main).info;
}

bool FillsBlocks(const LogicalWeight& weight, int64_t block) {
  return weight.shape.size() == 2 && weight.columns() % block == 0;
}

// Codes of the source that llama.cpp has blocks for are moved; others become numbers.
Storage StorageOfQuantised(const LogicalWeight& weight, const GgufTensor& gguf) {
  const bool same_rows = gguf.rows != GgufTensor::Rows::kSplit;
  if (same_rows && weight.format == formats::kMxfp4) return {{}, RowBlocks::kMxfp4, "MXFP4"};
  if (same_rows && weight.format == formats::kNvfp4 && gguf.nvfp4 &&
      FillsBlocks(weight, quantizers::kGgmlNvfp4BlockSize)) {
    return {{}, RowBlocks::kNvfp4, "NVFP4"};
  }
  const bool fp8 = weight.format->kind == FormatKind::kFp8;
  if (fp8 && gguf.fp8_as_q8_zero && FillsBlocks(weight, quantizers::kQ8ZeroBlockSize)) {
    return StorageQ8Zero();
  }
  return StorageBf16();
}

Storage StorageOfKept(const SourceModel& source, const LogicalWeight& weight,
                      const GgufTensor& gguf) {
  const DType dtype = MainInfo(source, weight).dtype;
  if (weight.format == formats::kInteger) {
    if (dtype == DType::kI32) return {{}, RowBlocks::kCodes, "I32"};
    if (dtype == DType::kI64) return {{}, RowBlocks::kI32, "I32"};
  }
  if (weight.format == formats::kPlain) {
    if (dtype == DType::kF32) return {{}, RowBlocks::kCodes, "F32"};
    if (gguf.f32 || weight.shape.size() < 2) return StorageF32();
    return {{}, RowBlocks::kCodes, dtype == DType::kF16 ? "F16" : "BF16"};
  }
  if (IsReadable(weight.format)) return StorageOfQuantised(weight, gguf);
  throw Error(
      ErrorCode::kNotInContainer, weight.name,
      fmt::format("it is stored as {}, which a GGUF file cannot hold", FormatName(weight.format)),
      "Give it a rule with another format");
}

Storage StorageOf(const SourceModel& source, const LogicalWeight& weight, const GgufTensor& gguf,
                  Format format) {
  if (!format) return StorageOfKept(source, weight, gguf);
  if (format == formats::kNvfp4) return {format, RowBlocks::kNvfp4, "NVFP4"};
  if (format == formats::kMxfp4) return {format, RowBlocks::kMxfp4, "MXFP4"};
  if (format == formats::kQ8Zero) return StorageQ8Zero();
  assert(format == formats::kBf16);
  return gguf.f32 || weight.shape.size() < 2 ? StorageF32() : StorageBf16();
}

TensorSpec Spec(std::string name, std::string_view type, std::vector<int64_t> shape) {
  const DType dtype = DTypeFromName(type);
  TensorSpec spec{.name = std::move(name), .dtype = dtype, .shape = std::move(shape)};
  if (dtype != DType::kOpaque) return spec;
  uint64_t values = 1;
  for (const int64_t size : spec.shape) values *= static_cast<uint64_t>(size);
  const TensorType& found = *FindType(type);
  spec.opaque_dtype_name = type;
  spec.opaque_bytes = values / static_cast<uint64_t>(found.block) * found.block_bytes;
  return spec;
}

// Below its layer, and with the part of an expert.
class GgufNames {
 public:
  explicit GgufNames(const LogicalWeight& weight)
      : prefix_(weight.layer < 0 ? std::string() : fmt::format("blk.{}.", weight.layer)),
        suffix_(weight.expert < 0 ? std::string() : fmt::format("[{}]", weight.expert)) {}

  std::string Of(std::string_view name) const { return prefix_ + std::string(name) + suffix_; }
  // Of what stands beside "attn_q.weight".
  std::string Beside(std::string_view name, std::string_view suffix) const {
    name.remove_suffix(name.ends_with(kWeightSuffix) ? kWeightSuffix.size() : 0);
    return prefix_ + std::string(name).append(suffix) + suffix_;
  }

 private:
  std::string prefix_, suffix_;
};

std::vector<TensorSpec> ValuesOf(const LogicalWeight& weight, const GgufTensor& gguf,
                                 std::string_view type) {
  const GgufNames names(weight);
  if (gguf.rows != GgufTensor::Rows::kSplit) return {Spec(names.Of(gguf.name), type, weight.shape)};
  const int64_t heads = weight.rows() / gguf.head_rows, columns = weight.columns();
  return {Spec(names.Of(gguf.name), type, {heads, columns, gguf.first_rows}),
          Spec(names.Of(gguf.second), type, {heads, gguf.head_rows - gguf.first_rows, columns})};
}

RowOrder OrderOf(const GgufTensor& gguf) {
  switch (gguf.rows) {
    case GgufTensor::Rows::kPairs:
      return RowOrder::kPairs;
    case GgufTensor::Rows::kSplit:
      return RowOrder::kSplit;
    case GgufTensor::Rows::kSame:
      break;
  }
  return RowOrder::kSame;
}

}  // namespace

bool HasPlace(const SourceModel& source, const LogicalWeight& weight) {
  return weight.role != Role::kMtp && !IsKvCacheScale(weight.name) &&
         SkippedBecause(weight.name, source.checkpoint.config()).empty();
}

PartName ParsePartName(std::string_view name) {
  const size_t open = name.rfind('[');
  if (open == std::string_view::npos || !name.ends_with(']')) return {name};
  PartName parsed{name.substr(0, open), -1};
  std::from_chars(name.data() + open + 1, name.data() + name.size() - 1, parsed.part);
  return parsed;
}

PlacedWeight PlaceWeight(const SourceModel& source, const LogicalWeight& weight, Format format) {
  if (!HasPlace(source, weight)) return {};
  const GgufTensor gguf = source.family->GgufTensorOf(weight.name);
  if (gguf.name.empty()) {
    throw Error(ErrorCode::kNotInContainer, weight.name,
                fmt::format("llama.cpp has no tensor for it in a model of type {}",
                            source.family->model_type()),
                "Choose another export.dialect (--dialect)");
  }
  const Storage storage = StorageOf(source, weight, gguf, format);
  PlacedWeight placed{.placement = {.format = storage.format,
                                    .blocks = storage.blocks,
                                    .order = OrderOf(gguf),
                                    .head_rows = gguf.head_rows,
                                    .first_rows = gguf.first_rows},
                      .values = ValuesOf(weight, gguf, storage.type),
                      .global_scale = {},
                      .input_scale = {}};
  if (storage.blocks != RowBlocks::kNvfp4) return placed;
  const GgufNames names(weight);
  placed.global_scale = Spec(names.Beside(gguf.name, kScaleSuffix), "F32", {1});
  if (format || weight.input_scale != Checkpoint::kNotFound) {
    placed.input_scale = Spec(names.Beside(gguf.name, kInputScaleSuffix), "F32", {1});
  }
  return placed;
}

Container::Obstacle ObstacleToFormat(const SourceModel& source, const LogicalWeight& weight,
                                     Format format) {
  if (!IsQuantised(format) || weight.role == Role::kMtp) return {};
  const GgufTensor gguf = source.family->GgufTensorOf(weight.name);
  if (gguf.name.empty()) return {};
  if (gguf.rows == GgufTensor::Rows::kSplit) {
    return {"is split in two for llama.cpp, one of them transposed", /*never=*/true};
  }
  if (format != formats::kNvfp4) return {};
  if (!gguf.nvfp4) {
    return {
        fmt::format("would be {} in NVFP4, and llama.cpp does not multiply that by its scale "
                    "in a model of type {}: give it the format mxfp4",
                    gguf.name, source.family->model_type())};
  }
  if (weight.columns() % quantizers::kGgmlNvfp4BlockSize != 0) {
    return {
        fmt::format("has {} columns, and NVFP4 in GGUF has blocks of {}: give it the format "
                    "mxfp4 or q8_0",
                    weight.columns(), quantizers::kGgmlNvfp4BlockSize)};
  }
  return {};
}

}  // namespace vernier::checkpoint::gguf

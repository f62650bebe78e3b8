// Nibbles of E2M1: NVFP4 with E4M3 scales and one for the whole weight, MXFP4 with powers of two.
#include <array>
#include <cmath>
#include <vector>

#include "checkpoint/formats/codec.h"
#include "checkpoint/formats/decode_tiles.h"
#include "checkpoint/formats/part_resolver.h"
#include "checkpoint/formats/stored_group.h"
#include "quantizers/mxfp4.h"
#include "quantizers/nvfp4.h"

namespace vernier::checkpoint {
namespace {

constexpr int64_t kNibblesPerByte = 2;
constexpr int64_t kWideBlock = 2 * quantizers::kNvfp4BlockSize;

constexpr std::array kNvfp4Methods = {ScaleMethod::kAuto,     ScaleMethod::kMax,
                                      ScaleMethod::kLossless, ScaleMethod::kFourOverSix,
                                      ScaleMethod::kMse,      ScaleMethod::kLocalHessian,
                                      ScaleMethod::kGptq};
constexpr std::array kMxfp4Methods = {ScaleMethod::kAuto, ScaleMethod::kMax, ScaleMethod::kMse};

// NVFP4 by its global scale or its block scales, in the one block size or the other.
bool IsAnyNvfp4(const StoredGroup& group) {
  if (!group.IsBytes() || group.IsByteTable()) return false;
  if (group.HasGlobalScale()) return true;
  return group.scale() != nullptr ? group.scale()->dtype == DType::kF8E4M3
                                  : group.main.dtype == DType::kU8;
}

bool IsNvfp4Wide(const StoredGroup& group) {
  if (!IsAnyNvfp4(group) || !group.hints.nvfp4_blocks_of_32) return false;
  if (group.scale() == nullptr || !group.IsMatrix()) return false;
  const std::vector<int64_t>& codes = group.main.shape;
  return group.scale()->shape ==
         std::vector<int64_t>{codes[0], kNibblesPerByte * codes[1] / kWideBlock};
}

bool IsNvfp4Group(const StoredGroup& group) { return IsAnyNvfp4(group) && !IsNvfp4Wide(group); }

// Toolkits store integers under their own name of a scale.
bool IsMxfp4(const StoredGroup& group) {
  if (!group.IsBytes() || group.IsByteTable() || IsAnyNvfp4(group)) return false;
  if (group.scale() == nullptr) return true;
  return !group.Has(Part::kWeightScale) || !IsFloat(group.scale()->dtype);
}

void ResolveNvfp4Blocks(PartResolver& resolver, int64_t block) {
  LogicalWeight& weight = resolver.weight;
  const bool packed = resolver.packed();
  const Part global = packed ? Part::kGlobalDivisor : Part::kGlobalScale;
  const size_t scale = resolver.RequireScale(".weight_scale");
  if (!resolver.group.Has(global)) {
    resolver.FailMissing(ErrorCode::kMissingScale,
                         packed ? ".weight_global_scale" : ".weight_scale_2");
  }
  resolver.DoubleColumns();
  resolver.checks.RequireDtype(weight.main, {DType::kU8});
  resolver.checks.RequireDtype(scale, {DType::kF8E4M3});
  resolver.checks.RequireScalar(resolver.group[global], {DType::kF32});
  resolver.SetWholeBlocks(scale, block);
  weight.global_scale = resolver.group[global];
  weight.global_scale_is_divisor = packed;
  resolver.SetInputScale({DType::kF32});
}

void ResolveNvfp4(PartResolver& resolver) {
  ResolveNvfp4Blocks(resolver, quantizers::kNvfp4BlockSize);
}
void ResolveNvfp4Wide(PartResolver& resolver) { ResolveNvfp4Blocks(resolver, kWideBlock); }

void ResolveMxfp4(PartResolver& resolver) {
  const size_t scale = resolver.RequireScale(".weight_scale");
  resolver.DoubleColumns();
  resolver.checks.RequireDtype(resolver.weight.main, {DType::kU8, DType::kI8});
  resolver.checks.RequireDtype(scale, {DType::kF8E8M0, DType::kU8});
  resolver.SetWholeBlocks(scale, quantizers::kMxfp4BlockSize);
}

// A scale for each block of 16 columns, whatever number of them shares one in the source.
std::span<const uint8_t> RepeatScales(std::span<const uint8_t> stored, int64_t block,
                                      std::vector<uint8_t>& repeated) {
  const auto times = static_cast<size_t>(block / quantizers::kNvfp4BlockSize);
  if (times == 1) return stored;
  repeated.clear();
  for (const uint8_t scale : stored) repeated.insert(repeated.end(), times, scale);
  return repeated;
}

void DecodeNvfp4(const StoredRows& rows, quantizers::MutableRealSpan out) {
  constexpr float kLargest = quantizers::kE2m1Max * quantizers::kE4m3Max;
  const float global_scale = rows.raw.global_scale;
  std::vector<uint8_t> repeated;
  DecodeTiles(rows, out, [&](auto& decoder, const auto& tile) {
    const std::span<const uint8_t> scales = decoder.ScaleCodes(tile);
    RefuseE4m3Nan(rows.checkpoint, rows.weight.scale, tile.row * decoder.ScalesPerBlockRow(),
                  scales);
    quantizers::DequantizeNvfp4(tile.main,
                                RepeatScales(scales, rows.weight.block_columns, repeated),
                                decoder.columns(), global_scale, tile.out);
    const bool safe = std::fabs(global_scale) <= kSafeMagnitude / kLargest;
    if (!safe) decoder.RefuseBadValues(tile.first, tile.out);
  });
}

void DecodeMxfp4(const StoredRows& rows, quantizers::MutableRealSpan out) {
  DecodeTiles(rows, out, [&](auto& decoder, const auto& tile) {
    const std::span<const uint8_t> scales = decoder.CheckedE8m0(tile);
    quantizers::DequantizeMxfp4(tile.main, scales, decoder.columns(), tile.out);
    decoder.CheckProducts(tile, scales, /*largest_exponent=*/124);  // 6 < 2^3
  });
}

quantizers::Nvfp4Search Nvfp4SearchOf(ScaleMethod method) {
  switch (method) {
    case ScaleMethod::kFourOverSix:
      return quantizers::Nvfp4Search::kFourOverSix;
    case ScaleMethod::kMse:
      return quantizers::Nvfp4Search::kMse;
    case ScaleMethod::kLocalHessian:
    case ScaleMethod::kGptq:  // where calibration left a weight to the export
      return quantizers::Nvfp4Search::kLocalHessian;
    default:
      return quantizers::Nvfp4Search::kMax;
  }
}

void EncodeNvfp4(const RowsToEncode& rows, const EncodedSpans& out) {
  quantizers::QuantizeNvfp4(
      rows.values, rows.columns,
      {rows.weight_scale, Nvfp4SearchOf(rows.method), rows.importance, rows.local_hessian},
      out.codes, out.scales);
}

float Nvfp4WeightScale(float amax, ScaleMethod method, DType /*stored*/) {
  return quantizers::Nvfp4GlobalScale(amax, Nvfp4SearchOf(method));
}

void EncodeMxfp4(const RowsToEncode& rows, const EncodedSpans& out) {
  const auto search = rows.method == ScaleMethod::kMse ? quantizers::Mxfp4Search::kMse
                                                       : quantizers::Mxfp4Search::kMax;
  quantizers::QuantizeMxfp4(rows.values, rows.columns, search, rows.importance, out.codes,
                            out.scales);
}

constexpr std::string_view kNvfp4Hardware =
    "GPUs with FP4 units (compute capability 10.0 and 12.0: Blackwell) multiply in FP4 where "
    "inputs "
    "have scales; others from Turing on use the weights alone";

}  // namespace

namespace formats {

constinit const Codec kNvfp4 = {.name = "nvfp4",
                                .target = "nvfp4",
                                .kind = FormatKind::kNvfp4,
                                .poor_error = 0.15,
                                .hardware = kNvfp4Hardware,
                                .recognises = IsNvfp4Group,
                                .resolve = ResolveNvfp4,
                                .decode = DecodeNvfp4,
                                .inputs_with_scale = ActivationFormat::kNvfp4,
                                .inputs_without_scale = ActivationFormat::kUnquantized,
                                .parts = {.codes = DType::kU8,
                                          .values_per_code = kNibblesPerByte,
                                          .span = ScaleSpan::kGroup,
                                          .scale = DType::kF8E4M3,
                                          .group = quantizers::kNvfp4BlockSize,
                                          .global_scale = true,
                                          .input_scale = WrittenParts::InputScale::kF32},
                                .methods = kNvfp4Methods,
                                .encode = EncodeNvfp4,
                                .weight_scale = Nvfp4WeightScale,
                                .modelopt = {"NVFP4", /*weight_only=*/"W4A16_NVFP4"},
                                .compressed_tensors = {"nvfp4-pack-quantized"}};

// W4A8: inputs are FP8.
constinit const Codec kNvfp4Wide = {.name = "nvfp4_block32",
                                    .kind = FormatKind::kNvfp4,
                                    .hardware = kNvfp4Hardware,
                                    .recognises = IsNvfp4Wide,
                                    .resolve = ResolveNvfp4Wide,
                                    .decode = DecodeNvfp4,
                                    .inputs_with_scale = ActivationFormat::kFp8Tensor,
                                    .inputs_without_scale = ActivationFormat::kNotEmulated};

constinit const Codec kMxfp4 = {.name = "mxfp4",
                                .target = "mxfp4",
                                .kind = FormatKind::kMxfp4,
                                .poor_error = 0.2,
                                .hardware =
                                    "GPUs with FP4 units (Blackwell) multiply it with FP8 "
                                    "inputs; others use the weights alone",
                                .recognises = IsMxfp4,
                                .resolve = ResolveMxfp4,
                                .decode = DecodeMxfp4,
                                .exact_in_bf16 = AlwaysExactInBf16,
                                .inputs_with_scale = ActivationFormat::kNotEmulated,
                                .inputs_without_scale = ActivationFormat::kNotEmulated,
                                .parts = {.codes = DType::kU8,
                                          .values_per_code = kNibblesPerByte,
                                          .span = ScaleSpan::kGroup,
                                          .scale = DType::kU8,
                                          .group = quantizers::kMxfp4BlockSize},
                                .methods = kMxfp4Methods,
                                .encode = EncodeMxfp4,
                                .modelopt = {"mxfp4"},
                                .compressed_tensors = {"mxfp4-pack-quantized"}};

}  // namespace formats
}  // namespace vernier::checkpoint

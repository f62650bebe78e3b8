// F8_E4M3 with scales for the whole weight, its rows, or blocks of rows x columns.
#include "quantizers/fp8.h"

#include <algorithm>
#include <array>
#include <vector>

#include "checkpoint/formats/codec.h"
#include "checkpoint/formats/decode_tiles.h"
#include "checkpoint/formats/part_resolver.h"
#include "checkpoint/formats/stored_group.h"
#include "checkpoint/numbers.h"
#include "quantizers/amax.h"
#include "quantizers/mxfp8.h"

namespace vernier::checkpoint {
namespace {

constexpr std::string_view kFloatQuantized = "float-quantized";
constexpr std::array kFp8Methods = {ScaleMethod::kAuto, ScaleMethod::kMax};

// A matrix whose scales are no exponents.
bool HasFp8Numbers(const StoredGroup& group) {
  return group.IsOf({DType::kF8E4M3}) && group.IsMatrix() && group.scale() != nullptr &&
         !IsE8m0(group.scale()->dtype);
}

bool IsFp8Tensor(const StoredGroup& group) {
  return HasFp8Numbers(group) &&
         (group.scale()->shape.empty() || group.scale()->shape == std::vector<int64_t>{1});
}

bool IsFp8Channel(const StoredGroup& group) {
  if (!HasFp8Numbers(group) || IsFp8Tensor(group)) return false;
  const std::vector<int64_t>& shape = group.scale()->shape;
  const int64_t rows = group.main.shape[0];
  const bool per_row =
      shape == std::vector<int64_t>{rows} || shape == std::vector<int64_t>{rows, 1};
  return per_row && shape != group.Grid(group.hints.fp8_block);
}

// Exponents under their own dtype may be those of blocks or MXFP8's.
bool HasMxfp8Scales(const StoredGroup& group) {
  if (!group.IsMatrix() || group.scale() == nullptr || !IsE8m0(group.scale()->dtype)) return false;
  if (group.scale()->dtype == DType::kU8) return true;
  const std::vector<int64_t>& shape = group.scale()->shape;
  return shape != group.Grid(group.hints.fp8_block) &&
         shape == group.Grid({1, quantizers::kMxfp8BlockSize});
}

// Any other FP8, with scales or without.
bool IsFp8Block(const StoredGroup& group) {
  return group.IsOf({DType::kF8E4M3}) && !IsFp8Tensor(group) && !IsFp8Channel(group) &&
         !HasMxfp8Scales(group);
}

bool IsMxfp8(const StoredGroup& group) {
  return group.IsOf({DType::kF8E4M3}) && HasMxfp8Scales(group);
}

// The checks that all FP8 has; returns the tensor of scales.
size_t ResolveFp8Parts(PartResolver& resolver) {
  LogicalWeight& weight = resolver.weight;
  if (resolver.packed()) resolver.checks.RequireDtype(weight.main, {DType::kU8, DType::kI32});
  const size_t scale = resolver.RequireScale(".weight_scale, .weight_scale_inv or .scale");
  resolver.checks.RequireMatrix(weight.main);
  resolver.checks.RequireDtype(weight.main, {DType::kF8E4M3});
  resolver.checks.RequireDtype(
      scale, {DType::kF32, DType::kBF16, DType::kF16, DType::kF8E8M0, DType::kU8});
  return scale;
}

void SetFp8InputScale(PartResolver& resolver) {
  resolver.SetInputScale({DType::kF32, DType::kBF16, DType::kF16});
}

void ResolveMxfp8(PartResolver& resolver) {
  resolver.SetWholeBlocks(ResolveFp8Parts(resolver), quantizers::kMxfp8BlockSize);
  SetFp8InputScale(resolver);
}

void ResolveFp8Tensor(PartResolver& resolver) {
  const size_t scale = ResolveFp8Parts(resolver);
  resolver.SetBlocks(scale, {std::max<int64_t>(1, resolver.weight.rows()),
                             std::max<int64_t>(1, resolver.weight.columns())});
  SetFp8InputScale(resolver);
}

void ResolveFp8Channel(PartResolver& resolver) {
  const size_t scale = ResolveFp8Parts(resolver);
  resolver.SetBlocks(scale, {1, std::max<int64_t>(1, resolver.weight.columns())});
  SetFp8InputScale(resolver);
}

// ModelOpt writes the scales of blocks as [rows, 1, columns, 1].
void ResolveFp8Block(PartResolver& resolver) {
  const size_t scale = ResolveFp8Parts(resolver);
  const std::vector<int64_t> grid = resolver.Grid(resolver.hints.fp8_block);
  if (resolver.Info(scale).shape != std::vector<int64_t>{grid[0], 1, grid[1], 1}) {
    resolver.checks.RequireShape(scale, grid);
  }
  resolver.SetBlocks(scale, resolver.hints.fp8_block);
  SetFp8InputScale(resolver);
}

void DecodeFp8(const StoredRows& rows, quantizers::MutableRealSpan out) {
  DecodeTiles(rows, out, [&](auto& decoder, const auto& tile) {
    const std::span<const float> scales = decoder.Scales(tile);
    RefuseE4m3Nan(rows.checkpoint, rows.weight.main, tile.first, tile.main);
    quantizers::DequantizeFp8Rows(tile.main, decoder.columns(), rows.weight.block_columns, scales,
                                  tile.out);
    decoder.CheckProducts(tile, scales, quantizers::kE4m3Max);
  });
}

void DecodeMxfp8(const StoredRows& rows, quantizers::MutableRealSpan out) {
  DecodeTiles(rows, out, [&](auto& decoder, const auto& tile) {
    const std::span<const uint8_t> scales = decoder.CheckedE8m0(tile);
    RefuseE4m3Nan(rows.checkpoint, rows.weight.main, tile.first, tile.main);
    quantizers::DequantizeMxfp8(tile.main, scales, decoder.columns(), tile.out);
    decoder.CheckProducts(tile, scales, /*largest_exponent=*/118);  // 448 < 2^9
  });
}

bool HasPowersOfTwo(const Checkpoint& checkpoint, const LogicalWeight& weight) {
  return checkpoint.tensor(weight.scale).info.dtype == DType::kF8E8M0;
}

void EncodeFp8Tensor(const RowsToEncode& rows, const EncodedSpans& out) {
  quantizers::QuantizeFp8(rows.values, rows.weight_scale, out.codes);
}

void EncodeFp8Channel(const RowsToEncode& rows, const EncodedSpans& out) {
  const auto width = static_cast<size_t>(rows.columns);
  std::visit(
      [&](auto values) {
        for (size_t row = 0; row * width < values.size(); ++row) {
          const auto row_values = values.subspan(row * width, width);
          const float scale = RoundNumber(
              quantizers::Fp8Scale(quantizers::FindAmax(row_values).value), rows.scale_dtype);
          quantizers::QuantizeFp8(row_values, scale, out.codes.subspan(row * width, width));
          StoreNumber(scale, rows.scale_dtype, row, out.scales);
        }
      },
      rows.values);
}

quantizers::Fp8ScaleKind ScaleKindOf(DType dtype) {
  if (dtype == DType::kF32) return quantizers::Fp8ScaleKind::kF32;
  if (dtype == DType::kBF16) return quantizers::Fp8ScaleKind::kBf16;
  return quantizers::Fp8ScaleKind::kE8m0;
}

void EncodeFp8Blocks(const RowsToEncode& rows, const EncodedSpans& out) {
  const int64_t count = static_cast<int64_t>(quantizers::SizeOf(rows.values)) / rows.columns;
  std::vector<float> scales(static_cast<size_t>(
      ScalesOf(formats::kFp8Block.parts, count, rows.columns, rows.blocks).count()));
  quantizers::QuantizeFp8Blocks(rows.values, rows.columns, rows.blocks.rows, rows.blocks.columns,
                                ScaleKindOf(rows.scale_dtype), out.codes, scales);
  for (size_t i = 0; i < scales.size(); ++i) {
    StoreNumber(scales[i], rows.scale_dtype, i, out.scales);
  }
}

void EncodeMxfp8(const RowsToEncode& rows, const EncodedSpans& out) {
  quantizers::QuantizeMxfp8(rows.values, rows.columns, out.codes, out.scales);
}

constexpr std::string_view kFp8Hardware =
    "GPUs from compute capability 8.9 on (Ada, Hopper, Blackwell) multiply in FP8; Ampere uses the "
    "weights alone";

// Codes are computed with the number that is stored.
float Fp8WeightScale(float amax, ScaleMethod /*method*/, DType stored) {
  return RoundNumber(quantizers::Fp8Scale(amax), stored);
}

}  // namespace

namespace formats {

constinit const Codec kFp8Tensor = {
    .name = "fp8_tensor",
    .target = "fp8",
    .kind = FormatKind::kFp8,
    .hardware = kFp8Hardware,
    .recognises = IsFp8Tensor,
    .resolve = ResolveFp8Tensor,
    .decode = DecodeFp8,
    .inputs_with_scale = ActivationFormat::kFp8Tensor,
    // Some engines take a scale per tensor at run time, others one per token, others none.
    .inputs_without_scale = ActivationFormat::kNotEmulated,
    .parts = {.codes = DType::kF8E4M3,
              .span = ScaleSpan::kWeight,
              .input_scale = WrittenParts::InputScale::kDialectFloat},
    .methods = kFp8Methods,
    .encode = EncodeFp8Tensor,
    .weight_scale = Fp8WeightScale,
    .modelopt = {"FP8"},
    .compressed_tensors = {kFloatQuantized, CompressedTensorsNames::Inputs::kPerToken}};

constinit const Codec kFp8Channel = {
    .name = "fp8_channel",
    .target = "fp8_channel",
    .kind = FormatKind::kFp8,
    .hardware = kFp8Hardware,
    .recognises = IsFp8Channel,
    .resolve = ResolveFp8Channel,
    .decode = DecodeFp8,
    .inputs_with_scale = ActivationFormat::kFp8Tensor,
    .inputs_without_scale = ActivationFormat::kFp8Token,
    .parts = {.codes = DType::kF8E4M3, .span = ScaleSpan::kRow},
    .methods = kFp8Methods,
    .encode = EncodeFp8Channel,
    .modelopt = {.algo = "FP8_PER_CHANNEL_PER_TOKEN", .dynamic_inputs = true},
    .compressed_tensors = {kFloatQuantized, CompressedTensorsNames::Inputs::kPerToken}};

constinit const Codec kFp8Block = {
    .name = "fp8_block",
    .target = "fp8_block",
    .kind = FormatKind::kFp8,
    .hardware = kFp8Hardware,
    .recognises = IsFp8Block,
    .resolve = ResolveFp8Block,
    .decode = DecodeFp8,
    .exact_in_bf16 = HasPowersOfTwo,
    .inputs_with_scale = ActivationFormat::kFp8Group,
    .inputs_without_scale = ActivationFormat::kFp8Group,
    .parts = {.codes = DType::kF8E4M3, .span = ScaleSpan::kBlock},
    .methods = kFp8Methods,
    .encode = EncodeFp8Blocks,
    .modelopt = {"fp8_pb_wo"},
    .compressed_tensors = {kFloatQuantized, CompressedTensorsNames::Inputs::kPerGroup}};

constinit const Codec kMxfp8 = {
    .name = "mxfp8",
    .target = "mxfp8",
    .kind = FormatKind::kMxfp8,
    .hardware = "GPUs from compute capability 10.0 on (Blackwell) multiply in MXFP8",
    .recognises = IsMxfp8,
    .resolve = ResolveMxfp8,
    .decode = DecodeMxfp8,
    .exact_in_bf16 = AlwaysExactInBf16,
    .inputs_with_scale = ActivationFormat::kNotEmulated,
    .inputs_without_scale = ActivationFormat::kNotEmulated,
    .parts = {.codes = DType::kF8E4M3,
              .span = ScaleSpan::kGroup,
              .scale = DType::kU8,
              .group = quantizers::kMxfp8BlockSize},
    .methods = kFp8Methods,
    .encode = EncodeMxfp8,
    .modelopt = {.algo = "MXFP8", .dynamic_inputs = true},
    .compressed_tensors = {"mxfp8-quantized", CompressedTensorsNames::Inputs::kAsWeights}};

}  // namespace formats
}  // namespace vernier::checkpoint

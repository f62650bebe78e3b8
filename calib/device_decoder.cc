#include "calib/device_decoder.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/rounding.h"
#include "calib/device_forward.h"
#include "calib/largest_magnitude.h"
#include "checkpoint/formats/codec.h"
#include "checkpoint/scattered_bytes.h"
#include "quantizers/float_formats.h"

namespace vernier::calib {
namespace {

using checkpoint::DType;
using checkpoint::FormatKind;
using checkpoint::LogicalWeight;
namespace formats = checkpoint::formats;

// Codes that are looked up at once: their indices take four times the memory.
constexpr int64_t kCodesAtOnce = int64_t{1} << 24;

constexpr size_t kByteValues = 256;

constexpr std::array<float, 2 * kByteValues> E2m1Pairs() {
  std::array<float, 2 * kByteValues> values{};
  for (size_t byte = 0; byte < kByteValues; ++byte) {
    values[2 * byte] = quantizers::kE2m1Values[byte & 0xF];
    values[2 * byte + 1] = quantizers::kE2m1Values[byte >> 4];
  }
  return values;
}

constexpr std::array<float, kByteValues> E8m0Values() {
  std::array<float, kByteValues> values{};
  for (size_t code = 0; code < kByteValues; ++code) {
    values[code] = quantizers::E8m0ToFloat(static_cast<uint8_t>(code));
  }
  return values;
}

bool IsE8m0Type(DType dtype) { return dtype == DType::kF8E8M0 || dtype == DType::kU8; }

// Nothing for what is no float of 16 or 32 bits.
std::optional<at::ScalarType> FloatTypeOf(DType dtype) {
  switch (dtype) {
    case DType::kBF16:
      return at::kBFloat16;
    case DType::kF16:
      return at::kHalf;
    case DType::kF32:
      return at::kFloat;
    default:
      return std::nullopt;
  }
}

// Bytes as elements, copied only when these may not lie there.
at::Tensor ViewAs(const at::Tensor& bytes, at::ScalarType type) {
  const auto size = static_cast<int64_t>(c10::elementSize(type));
  const bool aligned = bytes.storage_offset() % size == 0 &&
                       reinterpret_cast<uintptr_t>(bytes.data_ptr()) % size == 0;
  return (aligned ? bytes : bytes.clone()).view(type);
}

// The table's entries for all codes [n], viewed as `dtype`.
at::Tensor LookUp(const at::Tensor& table, const at::Tensor& codes, at::ScalarType dtype) {
  at::Tensor entries = at::empty(codes.sizes(), table.options());
  for (int64_t begin = 0; begin < codes.numel(); begin += kCodesAtOnce) {
    const int64_t end = std::min(codes.numel(), begin + kCodesAtOnce);
    at::Tensor part = entries.slice(0, begin, end);
    at::index_select_out(part, table, 0, codes.slice(0, begin, end).to(at::kInt));
  }
  return entries.view(dtype);
}

// Multiplies values [blocks * rows of a block, columns] by scales [blocks, blocks of columns].
// Operators compute BF16 in F32 and round once, whatever the other operand's dtype.
void ScaleEqualBlocks(const at::Tensor& values, const at::Tensor& scales, int64_t block_columns) {
  const int64_t blocks = scales.size(0), columns = values.size(1);
  if (columns % block_columns == 0) {
    values.view({blocks, -1, scales.size(1), block_columns}).mul_(scales.view({blocks, 1, -1, 1}));
    return;
  }
  const at::Tensor wide = scales.unsqueeze(-1)
                              .expand({-1, -1, block_columns})
                              .reshape({blocks, 1, -1})
                              .slice(2, 0, columns);
  values.view({blocks, -1, columns}).mul_(wide);
}

// The same where the last block of rows may be shorter.
void ScaleBlocks(const at::Tensor& values, const at::Tensor& scales, const LogicalWeight& weight) {
  const int64_t whole = values.size(0) / weight.block_rows;
  const int64_t rows = whole * weight.block_rows;
  if (whole > 0) {
    ScaleEqualBlocks(values.slice(0, 0, rows), scales.slice(0, 0, whole), weight.block_columns);
  }
  if (whole < scales.size(0)) {
    ScaleEqualBlocks(values.slice(0, rows), scales.slice(0, whole), weight.block_columns);
  }
}

}  // namespace

DeviceDecoder::DeviceDecoder(const checkpoint::Checkpoint& checkpoint, at::Device device)
    : checkpoint_(&checkpoint),
      bf16_(MakeTables(at::kBFloat16, device)),
      f32_(MakeTables(at::kFloat, device)) {}

DeviceDecoder::Tables DeviceDecoder::MakeTables(at::ScalarType dtype, at::Device device) {
  const auto table = [&](const auto& values) { return at::tensor(values).to(dtype); };
  const at::ScalarType pair = dtype == at::kFloat ? at::kLong : at::kInt;
  return {.e2m1_pairs = table(E2m1Pairs()).view(pair).to(device),
          .e4m3 = table(quantizers::kE4m3Values).to(device),
          .e8m0 = table(E8m0Values()).to(device)};
}

bool DeviceDecoder::Knows(const LogicalWeight& weight) const {
  // A stream takes a tensor's bytes as they lie in its file.
  if (LiesScattered(*checkpoint_, weight.main)) return false;
  const DType main = TypeOf(weight.main);
  if (weight.format == formats::kPlain) return FloatTypeOf(main).has_value();
  if (weight.scale == checkpoint::Checkpoint::kNotFound) return false;
  const DType scale = TypeOf(weight.scale);
  switch (weight.format->kind) {
    case FormatKind::kFp8:
      return main == DType::kF8E4M3 && (IsE8m0Type(scale) || FloatTypeOf(scale).has_value());
    case FormatKind::kMxfp8:
      return main == DType::kF8E4M3 && IsE8m0Type(scale);
    case FormatKind::kMxfp4:
      return (main == DType::kU8 || main == DType::kI8) && IsE8m0Type(scale);
    case FormatKind::kNvfp4:
      return main == DType::kU8 && scale == DType::kF8E4M3;
    default:
      return false;
  }
}

// A finite product needs finite factors, and each scale has values: so all that DecodeRows refuses,
// codes and scales among it, is a value here that is not finite.
DecodedWeight DeviceDecoder::Decode(const LogicalWeight& weight, const StoredWeight& stored,
                                    at::ScalarType dtype) const {
  assert(Knows(weight) && (dtype == at::kBFloat16 || dtype == at::kFloat));
  assert(stored.main.is_contiguous() &&
         stored.main.nbytes() == checkpoint_->tensor(weight.main).info.Bytes());
  if (auto decoded = DecodeInKernel(weight, stored, dtype)) return *std::move(decoded);
  at::Tensor values = weight.format == formats::kPlain ? DecodePlain(weight, stored.main, dtype)
                                                       : DecodeElements(weight, stored.main, dtype);
  if (values.numel() == 0) return {values, at::zeros({}, values.options())};
  if (weight.format != formats::kPlain) {
    ScaleBlocks(values, DecodeScales(weight, stored, dtype), weight);
  }
  return {values, LargestMagnitude(values)};
}

std::optional<DecodedWeight> DeviceDecoder::DecodeInKernel(const LogicalWeight& weight,
                                                           const StoredWeight& stored,
                                                           at::ScalarType dtype) const {
  const auto kernels = DeviceForward::For(stored.main.device());
  if (!kernels || weight.format == formats::kPlain) return std::nullopt;
  DeviceForward::Stored bytes = {.codes = stored.main,
                                 .scales = stored.scale,
                                 .rows = weight.rows(),
                                 .columns = weight.columns(),
                                 .block_rows = weight.block_rows,
                                 .block_columns = weight.block_columns,
                                 .is_e4m3 = TypeOf(weight.main) == DType::kF8E4M3,
                                 .global = stored.global_scale};
  using Scale = DeviceForward::Stored::Scale;
  const DType scale = TypeOf(weight.scale);
  if (checkpoint::IsNvfp4(weight.format)) {
    bytes.scale = Scale::kE4m3;
  } else if (scale == DType::kF32 || scale == DType::kBF16) {
    bytes.scale = scale == DType::kF32 ? Scale::kF32 : Scale::kBf16;
  } else if (!IsE8m0Type(scale)) {
    return std::nullopt;
  }
  if (!DeviceForward::CanDecode(bytes)) return std::nullopt;
  const DeviceForward::Decoded decoded = kernels->Decode(bytes, dtype);
  return DecodedWeight{decoded.values.view(weight.shape), decoded.largest.squeeze()};
}

at::Tensor DeviceDecoder::DecodePlain(const LogicalWeight& weight, const at::Tensor& bytes,
                                      at::ScalarType dtype) const {
  return ViewAs(bytes, *FloatTypeOf(TypeOf(weight.main)))
      .view(weight.shape)
      .to(dtype, /*non_blocking=*/false, /*copy=*/true);
}

// [weight.shape], before scales.
at::Tensor DeviceDecoder::DecodeElements(const LogicalWeight& weight, const at::Tensor& bytes,
                                         at::ScalarType dtype) const {
  const Tables& tables = TablesOf(dtype);
  const bool is_fp8 = TypeOf(weight.main) == DType::kF8E4M3;
  return LookUp(is_fp8 ? tables.e4m3 : tables.e2m1_pairs, bytes, dtype).view(weight.shape);
}

// [blocks of rows, blocks of columns]: BF16 for BF16 values where that is exact, else F32.
at::Tensor DeviceDecoder::DecodeScales(const LogicalWeight& weight, const StoredWeight& stored,
                                       at::ScalarType dtype) const {
  assert(stored.scale.is_contiguous() &&
         stored.scale.nbytes() == checkpoint_->tensor(weight.scale).info.Bytes());
  const DType type = TypeOf(weight.scale);
  at::Tensor scales;
  if (checkpoint::IsNvfp4(weight.format)) {
    scales = LookUp(f32_.e4m3.mul(stored.global_scale), stored.scale, at::kFloat);
  } else if (IsE8m0Type(type)) {
    scales = LookUp(TablesOf(dtype).e8m0, stored.scale, dtype);
  } else {
    scales = ViewAs(stored.scale, *FloatTypeOf(type)).to(type == DType::kBF16 ? dtype : at::kFloat);
  }
  return scales.view({CeilDivide(weight.rows(), weight.block_rows),
                      CeilDivide(weight.columns(), weight.block_columns)});
}

}  // namespace vernier::calib

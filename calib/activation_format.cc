#include "calib/activation_format.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <span>

#include "base/error.h"
#include "checkpoint/dtype.h"
#include "checkpoint/formats/codec.h"
#include "quantizers/float_formats.h"

namespace vernier::calib {
namespace {

using checkpoint::Checkpoint;
using checkpoint::DType;
using checkpoint::LogicalWeight;

// As a multiplier.
float ReadInputScale(const Checkpoint& checkpoint, const LogicalWeight& weight) {
  const float stored = ReadActivationScale(checkpoint, weight.input_scale);
  const bool divides = weight.format->inputs_with_scale == ActivationFormat::kNvfp4 &&
                       weight.global_scale_is_divisor;
  return divides ? 1.0f / stored : stored;
}

bool HasPowerOfTwoScales(const Checkpoint& checkpoint, const LogicalWeight& weight) {
  return checkpoint.tensor(weight.scale).info.dtype == DType::kF8E8M0;
}

}  // namespace

float ReadScalar(const Checkpoint& checkpoint, size_t tensor) {
  const DType dtype = checkpoint.tensor(tensor).info.dtype;
  std::array<std::byte, sizeof(float)> bytes{};
  const size_t size = dtype == DType::kF32 ? sizeof(float) : sizeof(uint16_t);
  checkpoint.Read(tensor, 0, std::span(bytes).first(size));
  if (dtype == DType::kF32) return std::bit_cast<float>(bytes);
  uint16_t half = 0;
  std::memcpy(&half, bytes.data(), sizeof(half));
  return dtype == DType::kBF16 ? quantizers::Bf16ToFloat(half) : quantizers::F16ToFloat(half);
}

bool IsUsableScale(float scale) {
  return std::isnormal(scale) && std::isnormal(1.0f / scale) && scale > 0;
}

float ReadActivationScale(const Checkpoint& checkpoint, size_t tensor) {
  const float stored = ReadScalar(checkpoint, tensor);
  if (IsUsableScale(stored)) return stored;
  throw Error(ErrorCode::kBadWeightValue, checkpoint.tensor(tensor).info.name,
              fmt::format("is {}, which is no scale of activations", stored),
              "Calibrate again, or check the checkpoint with `vernier validate`");
}

std::string_view ActivationFormatName(ActivationFormat format) {
  switch (format) {
    case ActivationFormat::kUnquantized:
      return "none";
    case ActivationFormat::kNvfp4:
      return "nvfp4";
    case ActivationFormat::kFp8Tensor:
      return "fp8-tensor";
    case ActivationFormat::kFp8Token:
      return "fp8-token";
    case ActivationFormat::kFp8Group:
      return "fp8-group";
    case ActivationFormat::kNotEmulated:
      break;
  }
  return kNotEmulatedName;
}

ActivationQuantization ReadActivationQuantization(const Checkpoint& checkpoint,
                                                  const LogicalWeight& weight) {
  const bool has_input_scale = weight.input_scale != Checkpoint::kNotFound;
  ActivationQuantization result = {.format = has_input_scale ? weight.format->inputs_with_scale
                                                             : weight.format->inputs_without_scale};
  switch (result.format) {
    case ActivationFormat::kNvfp4:
    case ActivationFormat::kFp8Tensor:
      result.scale = ReadInputScale(checkpoint, weight);
      break;
    case ActivationFormat::kFp8Group:
      result.group = weight.block_columns;
      result.power_of_two = HasPowerOfTwoScales(checkpoint, weight);
      break;
    default:
      break;
  }
  return result;
}

}  // namespace vernier::calib

// Formats that only GGUF has: blocks of 8-bit integers, and F32 of what is stored in fewer bits.
#include <array>
#include <concepts>
#include <cstring>
#include <vector>

#include "checkpoint/formats/codec.h"
#include "quantizers/bf16.h"
#include "quantizers/ggml_blocks.h"

namespace vernier::checkpoint {
namespace {

constexpr std::array kQ8Methods = {ScaleMethod::kAuto, ScaleMethod::kMax};

void EncodeQ8Zero(const RowsToEncode& rows, const EncodedSpans& out) {
  quantizers::QuantizeQ8Zero(rows.values, out.codes, out.scales);
}

// Codes may lie at any address.
void EncodeF32(const RowsToEncode& rows, const EncodedSpans& out) {
  std::visit(
      [&]<typename Real>(std::span<const Real> values) {
        if constexpr (std::same_as<Real, float>) {
          std::memcpy(out.codes.data(), values.data(), values.size_bytes());
        } else {
          std::vector<float> floats(values.size());
          quantizers::Bf16ToFloat(values, floats);
          std::memcpy(out.codes.data(), floats.data(), out.codes.size());
        }
      },
      rows.values);
}

}  // namespace

namespace formats {

constinit const Codec kQ8Zero = {.name = "q8_0",
                                 .target = "q8_0",
                                 .poor_error = 0.01,
                                 .parts = {.codes = DType::kI8,
                                           .span = ScaleSpan::kGroup,
                                           .scale = DType::kF16,
                                           .group = quantizers::kQ8ZeroBlockSize},
                                 .methods = kQ8Methods,
                                 .encode = EncodeQ8Zero};

constinit const Codec kF32 = {.name = "f32",
                              .quantised = false,
                              .kind = FormatKind::kNone,
                              .parts = {.codes = DType::kF32},
                              .encode = EncodeF32};

}  // namespace formats
}  // namespace vernier::checkpoint

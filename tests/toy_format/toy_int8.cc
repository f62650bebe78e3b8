// A format of this test: I8 with a scale per row, which Vernier otherwise only knows by name.
#include <algorithm>
#include <array>
#include <cmath>

#include "checkpoint/formats/codec.h"
#include "checkpoint/formats/decode_tiles.h"
#include "checkpoint/formats/part_resolver.h"
#include "checkpoint/formats/stored_group.h"
#include "checkpoint/numbers.h"
#include "quantizers/amax.h"

namespace vernier::checkpoint {
namespace {

constexpr float kLargestCode = 127;
constexpr std::array kToyMethods = {ScaleMethod::kAuto, ScaleMethod::kMax};

bool IsToyInt8(const StoredGroup& group) {
  return group.IsOf({DType::kI8}) && group.IsMatrix() && group.scale() != nullptr &&
         IsFloat(group.scale()->dtype) &&
         group.scale()->shape == std::vector<int64_t>{group.main.shape[0]};
}

void ResolveToyInt8(PartResolver& resolver) {
  const size_t scale = resolver.RequireScale(".weight_scale");
  resolver.checks.RequireDtype(scale, {DType::kF32});
  resolver.SetBlocks(scale, {1, std::max<int64_t>(1, resolver.weight.columns())});
}

void DecodeToyInt8(const StoredRows& rows, quantizers::MutableRealSpan out) {
  DecodeTiles(rows, out, [](auto& decoder, const auto& tile) {
    const auto scales = decoder.Scales(tile);
    const auto width = static_cast<size_t>(decoder.columns());
    for (size_t i = 0; i < tile.out.size(); ++i) {
      const float value = static_cast<int8_t>(tile.main[i]) * scales[i / width];
      if constexpr (sizeof(tile.out[i]) == sizeof(float)) {
        tile.out[i] = value;
      } else {
        tile.out[i] = quantizers::FloatToBf16(value);
      }
    }
    decoder.CheckProducts(tile, scales, kLargestCode);
  });
}

float ValueOf(float value) { return value; }
float ValueOf(uint16_t bf16) { return quantizers::Bf16ToFloat(bf16); }

void EncodeToyInt8(const RowsToEncode& rows, const EncodedSpans& out) {
  const auto width = static_cast<size_t>(rows.columns);
  std::visit(
      [&](auto values) {
        for (size_t begin = 0; begin < values.size(); begin += width) {
          const auto row = values.subspan(begin, width);
          const float amax = quantizers::FindAmax(row).value;
          const float scale = amax > 0 ? amax / kLargestCode : 1.0f;
          StoreNumber(scale, rows.scale_dtype, begin / width, out.scales);
          for (size_t i = 0; i < width; ++i) {
            const float code = std::nearbyint(ValueOf(row[i]) / scale);
            out.codes[begin + i] = static_cast<uint8_t>(static_cast<int8_t>(code));
          }
        }
      },
      rows.values);
}

}  // namespace

extern const Codec kToyInt8;
constinit const Codec kToyInt8 = {.name = "toy_int8",
                                  .target = "toy_int8",
                                  .recognises = IsToyInt8,
                                  .resolve = ResolveToyInt8,
                                  .decode = DecodeToyInt8,
                                  .parts = {.codes = DType::kI8, .span = ScaleSpan::kRow},
                                  .methods = kToyMethods,
                                  .encode = EncodeToyInt8,
                                  .modelopt = {"TOY_INT8"}};

}  // namespace vernier::checkpoint

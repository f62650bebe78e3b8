#include "checkpoint/value_checks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "base/error.h"
#include "quantizers/float_formats.h"

namespace vernier::checkpoint {
namespace {

// A pass without branches over all values; the culprit is looked for only when there is one.
template <typename T, typename IsBad>
const T* FindBad(std::span<const T> values, IsBad is_bad) {
  uint8_t any = 0;
  for (const T value : values) any |= static_cast<uint8_t>(is_bad(value));
  return any == 0 ? nullptr : &*std::find_if(values.begin(), values.end(), is_bad);
}

template <typename IsNan>
void RefuseNanCodes(const Checkpoint& checkpoint, size_t tensor, int64_t first,
                    std::span<const uint8_t> codes, IsNan is_nan) {
  const uint8_t* bad = FindBad(codes, is_nan);
  if (bad != nullptr) FailValue(checkpoint, tensor, first + (bad - codes.data()), "NaN");
}

}  // namespace

void FailValue(const Checkpoint& checkpoint, size_t tensor, int64_t index, std::string_view what) {
  throw Error(ErrorCode::kBadWeightValue, checkpoint.tensor(tensor).info.name,
              "element " + std::to_string(index) + " is " + std::string(what),
              "Download the checkpoint again, ask its publisher, or set non_finite to \"clamp\"");
}

void RefuseNonFinite(const Checkpoint& checkpoint, size_t tensor, int64_t first,
                     std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7F800000;
  const float* bad = FindBad(values, [](float value) {
    return (std::bit_cast<uint32_t>(value) & kExponent) == kExponent;
  });
  if (bad == nullptr) return;
  FailValue(checkpoint, tensor, first + (bad - values.data()),
            std::isnan(*bad) ? "NaN" : "infinite");
}

void RefuseNonFinite(const Checkpoint& checkpoint, size_t tensor, int64_t first,
                     std::span<const uint16_t> bf16_values) {
  constexpr uint16_t kExponent = 0x7F80;
  const uint16_t* bad =
      FindBad(bf16_values, [](uint16_t bits) { return (bits & kExponent) == kExponent; });
  if (bad == nullptr) return;
  FailValue(checkpoint, tensor, first + (bad - bf16_values.data()),
            std::isnan(quantizers::Bf16ToFloat(*bad)) ? "NaN" : "infinite, or too large for BF16");
}

void RefuseE4m3Nan(const Checkpoint& checkpoint, size_t tensor, int64_t first,
                   std::span<const uint8_t> codes) {
  RefuseNanCodes(checkpoint, tensor, first, codes,
                 [](uint8_t code) { return (code & 0x7F) == 0x7F; });
}

void RefuseE8m0Nan(const Checkpoint& checkpoint, size_t tensor, int64_t first,
                   std::span<const uint8_t> codes) {
  RefuseNanCodes(checkpoint, tensor, first, codes, [](uint8_t code) { return code == 0xFF; });
}

}  // namespace vernier::checkpoint

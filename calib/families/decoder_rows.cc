#include <array>

#include "calib/families/decoder.h"

namespace vernier::calib {

std::span<const DecoderRow> Decoders() {
  static constexpr auto kDecoders =
      std::to_array<DecoderRow>({{"deepseek_v4", MakeDeepseekV4Decoder}});
  return kDecoders;
}

}  // namespace vernier::calib

// The formats of this test program: one more than Vernier knows.
#include "checkpoint/formats/table.h"

#include <algorithm>
#include <array>

namespace vernier::checkpoint {

extern const Codec kToyInt8;

std::span<const Codec* const> Codecs() {
  static constexpr auto kCodecs = [] {
    std::array<const Codec*, kKnownCodecs.size() + 1> codecs = {&kToyInt8};
    std::ranges::copy(kKnownCodecs, codecs.begin() + 1);
    return codecs;
  }();
  return kCodecs;
}

}  // namespace vernier::checkpoint

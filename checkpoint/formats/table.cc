#include "checkpoint/formats/table.h"

namespace vernier::checkpoint {

// Compiled by itself: a program with a table of its own, a test's, links that instead.
std::span<const Codec* const> Codecs() { return kKnownCodecs; }

}  // namespace vernier::checkpoint

// The table of formats: a format is its file, and its row here.
#include <array>

#include "checkpoint/formats/codec.h"

namespace vernier::checkpoint {

// Compiled by itself, so that a program with another table (a test's) links that instead.
std::span<const Codec* const> Codecs() {
  using namespace formats;  // NOLINT: this is the list of what it has
  static constexpr auto kCodecs = std::to_array<const Codec*>({
      &kPlain,        &kNvfp4,        &kMxfp4,         &kMxfp8, &kFp8Tensor, &kFp8Channel,
      &kFp8Block,     &kInt4,         &kNvfp4Wide,     &kInt4Zero, &kInt4Rows, &kInteger,
      &kInt8,         &kStackedFp8,   &kStackedMxfp4,  &kStackedNvfp4, &kGptq, &kAwq,
      &kBitsAndBytes, &kOtherQuantised,
      &kOpaque,
  });
  return kCodecs;
}

}  // namespace vernier::checkpoint

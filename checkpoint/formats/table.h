// The formats that Vernier knows: a format is its file, and its row here.
#ifndef VERNIER_CHECKPOINT_FORMATS_TABLE_H_
#define VERNIER_CHECKPOINT_FORMATS_TABLE_H_

#include <array>

#include "checkpoint/formats/codec.h"

namespace vernier::checkpoint {

inline constexpr auto kKnownCodecs = std::to_array<const Codec*>({
    &formats::kPlain,
    &formats::kNvfp4,
    &formats::kMxfp4,
    &formats::kMxfp8,
    &formats::kFp8Tensor,
    &formats::kFp8Channel,
    &formats::kFp8Block,
    &formats::kInt4,
    &formats::kQ8Zero,
    &formats::kNvfp4Wide,
    &formats::kInt4Zero,
    &formats::kInt4Rows,
    &formats::kInteger,
    &formats::kInt8,
    &formats::kStackedFp8,
    &formats::kStackedMxfp4,
    &formats::kStackedNvfp4,
    &formats::kGptq,
    &formats::kAwq,
    &formats::kBitsAndBytes,
    &formats::kOtherQuantised,  // what all others left
    &formats::kF32,
    &formats::kOpaque,
});

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FORMATS_TABLE_H_

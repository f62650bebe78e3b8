// Formats that Vernier knows by name, so that it can say what it does not read.
#include "checkpoint/formats/codec.h"
#include "checkpoint/formats/int4_words.h"
#include "checkpoint/formats/stored_group.h"

namespace vernier::checkpoint {
namespace {

// X.qweight of GPTQ or AWQ, which only the configuration tells apart for sure.
bool HasOwnCodes(const StoredGroup& group) {
  return group.Has(Part::kCodes) && !group.group.stacked;
}
bool IsAwq(const StoredGroup& group) {
  return HasOwnCodes(group) && group.hints.quant_method == "awq";
}
bool IsGptq(const StoredGroup& group) {
  return HasOwnCodes(group) && group.hints.quant_method != "awq";
}

// Parts of a foreign scheme stand beside it.
bool IsBitsAndBytes(const StoredGroup& group) {
  return !group.Has(Part::kCodes) && !group.group.stacked && !group.group.others.empty() &&
         !IsFloat(group.main.dtype);
}

bool IsStackOfBytes(const StoredGroup& group) {
  return group.group.stacked && !group.Has(Part::kCodes) &&
         (group.main.dtype == DType::kU8 || group.main.dtype == DType::kI8);
}
bool IsStackedFp8(const StoredGroup& group) {
  return group.group.stacked && !group.Has(Part::kCodes) && group.main.dtype == DType::kF8E4M3;
}
// gpt-oss's blocks, or bytes with exponents and no other scale.
bool IsStackedMxfp4(const StoredGroup& group) {
  if (group.group.stacked && group.Has(Part::kCodes)) return true;
  return IsStackOfBytes(group) && group.scale() != nullptr && IsE8m0(group.scale()->dtype) &&
         !group.HasGlobalScale();
}
bool IsStackedNvfp4(const StoredGroup& group) {
  return IsStackOfBytes(group) && !IsStackedMxfp4(group);
}

// Bytes, or words, with a toolkit's float scales.
bool HasToolkitScale(const StoredGroup& group) {
  return group.IsBytes() && !group.HasGlobalScale() && group.Has(Part::kWeightScale) &&
         IsFloat(group.scale()->dtype);
}
bool IsPackedWords(const StoredGroup& group) {
  return group.IsOf({DType::kI32}) && group.Has(Part::kPackedWeight);
}
constexpr int64_t kInt8PerWord = 4;

bool IsInt8(const StoredGroup& group) {
  if (IsPackedWords(group)) return group.IntegersPerWord() == kInt8PerWord;
  return HasToolkitScale(group) && group.main.dtype == DType::kI8;
}

// What the formats before it in the table left: words of 5, 6 or 7 bits, bytes in groups.
bool IsOtherQuantised(const StoredGroup& group) {
  return HasToolkitScale(group) || IsPackedWords(group);
}

}  // namespace

namespace formats {

constinit const Codec kInt8 = {
    .name = "int8", .text = "INT8", .kind = FormatKind::kInt8, .recognises = IsInt8};
constinit const Codec kStackedFp8 = {.name = "stacked_fp8",
                                     .text = "FP8 with all experts of a layer in one tensor",
                                     .kind = FormatKind::kFp8,
                                     .recognises = IsStackedFp8};
constinit const Codec kStackedMxfp4 = {.name = "stacked_mxfp4",
                                       .text = "MXFP4 with all experts of a layer in one tensor",
                                       .kind = FormatKind::kMxfp4,
                                       .recognises = IsStackedMxfp4};
constinit const Codec kStackedNvfp4 = {.name = "stacked_nvfp4",
                                       .text = "NVFP4 with all experts of a layer in one tensor",
                                       .kind = FormatKind::kNvfp4,
                                       .recognises = IsStackedNvfp4};
constinit const Codec kGptq = {.name = "gptq", .text = "GPTQ", .recognises = IsGptq};
constinit const Codec kAwq = {.name = "awq", .text = "AWQ", .recognises = IsAwq};
constinit const Codec kBitsAndBytes = {
    .name = "bitsandbytes", .text = "bitsandbytes", .recognises = IsBitsAndBytes};
constinit const Codec kOtherQuantised = {.name = "other_quantised", .recognises = IsOtherQuantised};

}  // namespace formats
}  // namespace vernier::checkpoint

// The formats in which checkpoints store weights, and which of them a group of tensors is in.
//
// This is the one place that decides it: for the reader (weight_parts.h), which then holds the
// tensors against the format, and for the audit, whose rules do.
#ifndef VERNIER_CHECKPOINT_WEIGHT_FORMAT_H_
#define VERNIER_CHECKPOINT_WEIGHT_FORMAT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "checkpoint/format_hints.h"
#include "checkpoint/tensor_group.h"

namespace vernier::checkpoint {

// Integers in a word of kInt4 and kInt4Zero.
inline constexpr int64_t kInt4PerWord = 8;

enum class WeightFormat {
  kPlain,       // BF16, F16 or F32
  kInteger,     // I64, I32 ... tables: copied, never dequantised
  kFp8Tensor,   // F8_E4M3 with one scale
  kFp8Channel,  // F8_E4M3 with a scale per row
  kFp8Block,    // F8_E4M3 with a scale per block of rows x columns
  kMxfp8,       // F8_E4M3 with E8M0 per 32 columns
  kMxfp4,       // I8/U8 nibbles with E8M0 per 32 columns
  kNvfp4,       // U8 nibbles with E4M3 per 16 columns and an F32 global scale
  kNvfp4Wide,   // the same with E4M3 per 32 columns (ModelOpt's W4A8_NVFP4_FP8)
  kInt4,        // I32 of eight symmetric 4-bit integers, with a float scale per group of columns
  kInt4Zero,    // the same, asymmetric: with zero points, packed along the rows
  kInt4Rows,    // U8 of two rows, the low nibble the first (ModelOpt's INT4), F32 per group
  // Known by name, and not read.
  kInt8,        // I8, or I32 of four, with float scales
  kStackedFp8,  // all experts of a layer in one tensor of three dimensions
  kStackedMxfp4,
  kStackedNvfp4,
  kGptq,
  kAwq,
  kBitsAndBytes,
  kOtherQuantised,  // of a scheme without a name here
  kOpaque,          // not understood: copied, never dequantised
};

std::string_view WeightFormatName(WeightFormat format);  // "fp8_block"

// Whether its values are codes with scales: neither plain, nor a table, nor not understood.
bool IsQuantised(WeightFormat format);
// Quantised in a format whose values Vernier computes.
bool IsReadable(WeightFormat format);
// Nibbles of E2M1 with E4M3 scales and a global one.
bool IsNvfp4(WeightFormat format);

// The format of a group that has values, by the dtypes and shapes of its tensors and, where these
// leave a choice, by the hints. Never fails: a group that is damaged has the format that most of it
// speaks for. `linear`: it would be the weight of a linear layer, so that bytes without scales have
// lost them. Reads no tensor but the two numbers of a weight_shape.
WeightFormat ClassifyGroup(const Checkpoint& checkpoint, const TensorGroup& group,
                           const FormatHints& hints, bool linear);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_WEIGHT_FORMAT_H_

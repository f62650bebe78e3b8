// What the bytes of one module say: everything that rules and statistics ask about them.
#ifndef VERNIER_AUDIT_MODULE_FACTS_H_
#define VERNIER_AUDIT_MODULE_FACTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "audit/statistics.h"

namespace vernier::audit {

// The scales of a weight's blocks, rows or, of FP8, of all of it.
struct ScaleFacts {
  uint64_t bytes = 0;           // that were looked at
  int64_t nan_or_negative = 0;  // E4M3
  int64_t lost_blocks = 0;      // zero scale over non-zero nibbles
  int64_t e8m0_nan = 0;
  int64_t bad_values = 0;  // F32, BF16 and F16: not finite or not above zero
  BlockStatistics blocks;  // of NVFP4

  void Merge(const ScaleFacts& other);
};

// A converted weight against its source.
struct SourceFacts {
  ErrorStatistics error = {};
  int64_t clipped = 0;             // saturated values in blocks of the scale 448
  int64_t source_zero_blocks = 0;  // blocks of 16 that are all zero in the source
  std::string failure;             // why it could not be compared; empty when it was

  // The first failure stays.
  void Merge(const SourceFacts& other);
  // Once everything is merged: counts the weight, or forgets the numbers of one that failed.
  void Finish();
};

struct ModuleFacts {
  int64_t not_finite = 0;  // stored values of the weight that are NaN or infinite
  ScaleFacts scales;
  std::set<size_t> changed;  // tensors that should be carried, but differ from the source's
  std::optional<SourceFacts> source;  // of a converted weight, when it was compared

  // Of consecutive parts; the same parts in the same order give the same bits.
  void Merge(const ModuleFacts& other);
};

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_MODULE_FACTS_H_

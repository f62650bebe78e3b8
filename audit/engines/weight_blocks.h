// The values of a weight that share a scale and must not be cut apart.
#ifndef VERNIER_AUDIT_ENGINES_WEIGHT_BLOCKS_H_
#define VERNIER_AUDIT_ENGINES_WEIGHT_BLOCKS_H_

#include <cstdint>
#include <optional>

#include "audit/modules.h"
#include "audit/subject.h"

namespace vernier::audit {

struct WeightBlocks {
  int64_t rows = 0, columns = 0;  // of values, whatever holds them
  int64_t block_rows = 1, block_columns = 1;
};

// Nothing for a weight that is not quantised, is no matrix, or of a format of which nobody here
// knows how it may be cut.
std::optional<WeightBlocks> BlocksOf(const Subject& subject, const Module& module);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_ENGINES_WEIGHT_BLOCKS_H_

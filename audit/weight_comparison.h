// Rows of a converted weight against the same rows of its source.
#ifndef VERNIER_AUDIT_WEIGHT_COMPARISON_H_
#define VERNIER_AUDIT_WEIGHT_COMPARISON_H_

#include "audit/module_facts.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/rescaling.h"
#include "checkpoint/weight_decoder.h"

namespace vernier::audit {

// Rows of a weight with where they come from.
struct WeightRows {
  const checkpoint::Checkpoint& checkpoint;
  const checkpoint::LogicalWeight& weight;
  checkpoint::RawRows raw;
};

// Dequantises both, the source as `rescaling` leaves it, a tile that stays in a core's cache at a
// time, and compares; both are the same rows of weights of one shape. The source's values that are
// not finite are replaced first (checkpoint/clamped_rows.h): what was clamped on the way is no
// error of the result. Sums run in the order of rows. What cannot be decoded becomes `failure`.
SourceFacts CompareRows(const WeightRows& own, const WeightRows& source,
                        const checkpoint::Rescaling& rescaling);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_WEIGHT_COMPARISON_H_

// The scale that the weights of one scale group share.
#ifndef VERNIER_EXPORT_GROUP_SCALE_H_
#define VERNIER_EXPORT_GROUP_SCALE_H_

#include <cstdint>
#include <vector>

#include "checkpoint/rescaling.h"
#include "checkpoint/source_model.h"
#include "checkpoint/weight_decoder.h"
#include "quantizers/amax.h"
#include "quantizers/mxfp4.h"
#include "recipes/plan.h"

namespace vernier::exporter {

struct WeightScale {
  float scale = 1.0f;   // the multiplier: weight_scale_2 of NVFP4, weight_scale of FP8 per tensor
  float stored = 1.0f;  // the same as this dialect's checkpoint holds it
  int k_max = 0;        // lossless cast: the group's largest exponent
};

// Whether the group's codes depend on a scale that depends on all of its values.
bool HasGroupScale(const recipes::Plan& plan, const recipes::ScaleGroup& group);

// A multiplier as a checkpoint of this dialect stores it: compressed-tensors divides by NVFP4's
// scales.
float StoredScale(const recipes::Plan& plan, const recipes::ScaleGroup& group, float scale);

// Whether the tensor is the group's scale.
bool HoldsGroupScale(const recipes::Plan& plan, const recipes::OutputTensor& tensor);

// What rows tell about their group's scale. Merged in any order they give the same.
struct Extremes {
  quantizers::MaxExponent exponent = {};  // lossless cast
  float amax = 0;                         // all other methods

  void Merge(const Extremes& other);
};

// Of values as `rescaling` leaves them. Of a lossless cast only the rows' block scales are looked
// at: `rows.main` may be empty. Memory: one tile. kBadWeightValue names a tensor with NaN or Inf.
Extremes FindExtremes(const checkpoint::Checkpoint& checkpoint,
                      const checkpoint::LogicalWeight& weight,
                      const checkpoint::Rescaling& rescaling, const recipes::ScaleGroup& group,
                      const checkpoint::RawRows& rows);

WeightScale ScaleOf(const recipes::Plan& plan, const recipes::ScaleGroup& group,
                    const Extremes& extremes);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_GROUP_SCALE_H_

// When a layer has shown all inputs of a weight.
#ifndef VERNIER_CALIB_INPUTS_SEEN_H_
#define VERNIER_CALIB_INPUTS_SEEN_H_

#include "calib/layer_state.h"
#include "checkpoint/logical_weight.h"

namespace vernier::calib {

// Whether all that the weight's inputs are was seen: of a dense one behind the dense stage, of a
// routed expert's behind its group.
inline bool AllInputsSeen(const checkpoint::LogicalWeight& weight, const LayerState& state) {
  if (state.Fraction() >= 1) return true;
  const LayerPlace& place = state.place();
  if (place.stage == LayerStage::kDense) return false;
  if (weight.expert < 0 || place.stage == LayerStage::kFinish) return true;
  return weight.expert < place.next;
}

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_INPUTS_SEEN_H_

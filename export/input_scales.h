// The input scale of every scale group, from calibrated statistics.
#ifndef VERNIER_EXPORT_INPUT_SCALES_H_
#define VERNIER_EXPORT_INPUT_SCALES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "calib/store/store.h"
#include "checkpoint/model_layout.h"
#include "recipes/plan.h"

namespace vernier::exporter {

// Where a group's input amax comes from.
enum class AmaxOrigin {
  kObserved,  // its own tokens
  kLayer,     // no tokens: the largest of the same projection in its layer
  kModel,     // none in its layer either: the largest of the same projection in the model
};
std::string_view AmaxOriginName(AmaxOrigin origin);  // "observed", "layer", "model"

struct InputScale {
  float scale = 1.0f;  // amax / (6 * 448)
  float amax = 0;
  int64_t tokens = 0;  // that the group's own modules saw
  AmaxOrigin origin = AmaxOrigin::kObserved;
};

// One scale per group of the plan: the largest amax of its members. A group of routed experts that
// saw no token, or only zeros, takes the largest amax among the observed experts of its
// projection (w1 and w3, or w2) in its layer, then in the model. kNotCalibrated names a group
// without a record, and one for which there is no such fallback.
std::vector<InputScale> ResolveInputScales(const checkpoint::ModelLayout& layout,
                                           const recipes::Plan& plan,
                                           const std::vector<calib::InputAmax>& inputs);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_INPUT_SCALES_H_

// The input scale of every scale group, from calibrated statistics.
#ifndef VERNIER_EXPORT_INPUT_SCALES_H_
#define VERNIER_EXPORT_INPUT_SCALES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/model_layout.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/store.h"

namespace vernier::exporter {

// Where a group's input amax comes from.
enum class AmaxOrigin {
  kObserved,  // its own tokens
  kLayer,     // no tokens: the largest of the same projection in its layer
  kModel,     // none in its layer either: the largest of the same projection in the model
  kConstant,  // the recipe gives the scale
};
std::string_view AmaxOriginName(AmaxOrigin origin);  // "observed", "layer", "model", "constant"

struct InputScale {
  float scale = 1.0f;  // amax over the largest number of the activation's format
  float amax = 0;
  int64_t tokens = 0;  // that the group's own modules saw
  AmaxOrigin origin = AmaxOrigin::kObserved;
};

// Which scale groups' weights get an input scale in the output.
std::vector<bool> GroupsWithInputScale(const recipes::Plan& plan);

// One entry per group of the plan; meaningful for those whose weights get an input scale.
//
// Calibrated: the largest amax of ScaleGroup::inputs, its scale for activation_headroom times that.
// A group of routed experts that saw no token, or only zeros, takes the largest amax among the
// observed experts of its projection (w1 and w3, or w2) in its layer, then in the model.
// kNotCalibrated names a group without a record, and one for which there is no such fallback. A
// constant of the recipe, or of the rule that decides a group, is its scale.
std::vector<InputScale> ResolveInputScales(const checkpoint::ModelLayout& layout,
                                           const recipes::Plan& plan, const recipes::Recipe& recipe,
                                           const std::vector<run::InputAmax>& inputs);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_INPUT_SCALES_H_

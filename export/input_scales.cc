#include "export/input_scales.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "quantizers/fp8.h"
#include "quantizers/nvfp4.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::ModelLayout;
using checkpoint::Role;
using recipes::ScaleGroup;

using InputsByModule = std::unordered_map<std::string_view, const run::InputAmax*>;

constexpr std::string_view kRemedy = "Calibrate with this recipe before exporting";

// "w1+w3": the members' projections, which say what a group does in its layer.
std::string ProjectionName(const ModelLayout& layout, const ScaleGroup& group) {
  std::set<std::string> projections;
  for (const size_t index : group.weights) projections.insert(layout.weights[index].projection);
  return JoinNames(std::vector<std::string>(projections.begin(), projections.end()), "+");
}

const LogicalWeight& FirstMember(const ModelLayout& layout, const ScaleGroup& group) {
  return layout.weights[group.weights.front()];
}

InputScale Observed(const ModelLayout& layout, const ScaleGroup& group,
                    const InputsByModule& inputs) {
  InputScale result;
  bool recorded = false;
  for (const size_t index : group.inputs) {
    const auto it = inputs.find(layout.weights[index].module);
    if (it == inputs.end()) continue;
    recorded = true;
    result.amax = std::max(result.amax, it->second->amax);
    result.tokens = std::max(result.tokens, it->second->tokens);
  }
  if (!recorded) {
    throw Error(ErrorCode::kNotCalibrated, FirstMember(layout, group).module,
                "the store has no statistics of its input", kRemedy);
  }
  return result;
}

// The largest amax per projection of routed experts, in each layer and in the model.
class ExpertAmax {
 public:
  ExpertAmax(const ModelLayout& layout, const recipes::Plan& plan,
             const std::vector<InputScale>& observed) {
    for (size_t i = 0; i < plan.scale_groups.size(); ++i) {
      const LogicalWeight& weight = FirstMember(layout, plan.scale_groups[i]);
      if (weight.role != Role::kRoutedExpert) continue;
      const std::string projection = ProjectionName(layout, plan.scale_groups[i]);
      Raise(in_layer_[{weight.layer, projection}], observed[i].amax);
      Raise(in_model_[projection], observed[i].amax);
    }
  }

  // Fills amax and origin of a group that saw nothing; false when there is no fallback.
  bool Fill(const LogicalWeight& weight, const std::string& projection, InputScale& scale) const {
    if (weight.role != Role::kRoutedExpert) return false;
    scale.origin = AmaxOrigin::kLayer;
    scale.amax = in_layer_.at({weight.layer, projection});
    if (scale.amax > 0) return true;
    scale.origin = AmaxOrigin::kModel;
    scale.amax = in_model_.at(projection);
    return scale.amax > 0;
  }

 private:
  static void Raise(float& value, float other) { value = std::max(value, other); }

  std::map<std::pair<int, std::string>, float> in_layer_;
  std::map<std::string, float> in_model_;
};

float ScaleOfAmax(const recipes::Plan& plan, const ScaleGroup& group, float amax) {
  const bool nvfp4 = plan.weights[group.weights.front()].format == checkpoint::formats::kNvfp4;
  return nvfp4 ? quantizers::Nvfp4GlobalScale(amax) : quantizers::Fp8Scale(amax);
}

const recipes::InputScales& ScalesOf(const recipes::Plan& plan, size_t group) {
  return plan.weights[plan.scale_groups[group].weights.front()].input_scales;
}

std::vector<InputScale> Calibrated(const ModelLayout& layout, const recipes::Plan& plan,
                                   const std::vector<run::InputAmax>& inputs, double headroom) {
  InputsByModule by_module;
  for (const run::InputAmax& input : inputs) by_module.emplace(input.module, &input);

  std::vector<bool> scaled = GroupsWithInputScale(plan);
  for (size_t i = 0; i < scaled.size(); ++i) {
    if (ScalesOf(plan, i).from != recipes::ActivationScales::kCalibrated) scaled[i] = false;
  }
  std::vector<InputScale> scales;
  for (size_t i = 0; i < scaled.size(); ++i) {
    scales.push_back(scaled[i] ? Observed(layout, plan.scale_groups[i], by_module) : InputScale{});
  }
  const ExpertAmax experts(layout, plan, scales);
  for (size_t i = 0; i < scales.size(); ++i) {
    if (!scaled[i]) continue;
    const ScaleGroup& group = plan.scale_groups[i];
    const LogicalWeight& weight = FirstMember(layout, group);
    if (scales[i].amax == 0 && !experts.Fill(weight, ProjectionName(layout, group), scales[i])) {
      throw Error(ErrorCode::kNotCalibrated, weight.module,
                  "its input saw no token, nor did that of any weight that could stand in for it",
                  "Calibrate with more samples, or with all_experts");
    }
    const double amax = headroom * double{scales[i].amax};
    const double most = std::numeric_limits<float>::max();
    scales[i].scale = ScaleOfAmax(plan, group, static_cast<float>(std::min(amax, most)));
  }
  return scales;
}

}  // namespace

std::string_view AmaxOriginName(AmaxOrigin origin) {
  switch (origin) {
    case AmaxOrigin::kObserved:
      return "observed";
    case AmaxOrigin::kLayer:
      return "layer";
    case AmaxOrigin::kModel:
      return "model";
    case AmaxOrigin::kConstant:
      return "constant";
  }
  return "";
}

std::vector<bool> GroupsWithInputScale(const recipes::Plan& plan) {
  std::vector<bool> scaled(plan.scale_groups.size(), false);
  for (const recipes::OutputShard& shard : plan.shards) {
    for (const recipes::OutputTensor& tensor : shard.tensors) {
      if (tensor.part != recipes::OutputPart::kInputScale) continue;
      const recipes::WeightPlan& weight = plan.weights[tensor.weight];
      if (weight.format) scaled[weight.scale_group] = true;  // not a kept weight's own
    }
  }
  return scaled;
}

std::vector<InputScale> ResolveInputScales(const ModelLayout& layout, const recipes::Plan& plan,
                                           const recipes::Recipe& recipe,
                                           const std::vector<run::InputAmax>& inputs) {
  using recipes::ActivationScales;
  std::vector<InputScale> scales = Calibrated(layout, plan, inputs, recipe.activation_headroom);
  for (size_t i = 0; i < scales.size(); ++i) {
    const recipes::InputScales& asked = ScalesOf(plan, i);
    if (asked.from == ActivationScales::kCalibrated) continue;
    scales[i] = {.origin = AmaxOrigin::kConstant};
    if (asked.from == ActivationScales::kConstant) scales[i].scale = asked.constant;
  }
  return scales;
}

}  // namespace vernier::exporter

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/error.h"
#include "calib/layertest/layer_test.h"

namespace vernier::calib {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::SourceModel;

void RequireLayer(int64_t layer, int64_t layers) {
  if (layer >= 0 && layer < layers) return;
  throw Error(ErrorCode::kBadArgument, "--layer",
              fmt::format("there is no layer {} among {}", layer, layers),
              fmt::format("Give a number from 0 to {}", layers - 1));
}

[[noreturn]] void ThrowOtherModel(const SourceModel& quantized, const std::string& difference) {
  throw Error(ErrorCode::kBadArgument, quantized.checkpoint.directory().string(),
              "is of another model than the source: " + difference,
              "Give a checkpoint that was made from the source");
}

void RequireSameModel(const SourceModel& source, const SourceModel& quantized) {
  const auto require = [&](std::string_view what, const auto& expected, const auto& found) {
    if (found == expected) return;
    ThrowOtherModel(quantized, fmt::format("{} is {}, not {}", what, found, expected));
  };
  require("model_type", source.family->model_type(), quantized.family->model_type());
  const checkpoint::ModelDims ours = source.family->Dims(), theirs = quantized.family->Dims();
  require("the hidden size", ours.hidden_size, theirs.hidden_size);
  require("the number of layers", ours.layers, theirs.layers);
  require("the number of residual streams", ours.residual_streams, theirs.residual_streams);
  require("the number of routed experts", ours.experts, theirs.experts);
  require("the number of experts per token", ours.experts_per_token, theirs.experts_per_token);
}

void RequireSameWeight(const LogicalWeight& weight, const SourceModel& quantized) {
  const LogicalWeight* other = quantized.layout.FindName(weight.name);
  if (other == nullptr) {
    throw Error(ErrorCode::kMissingTensor, weight.name,
                "is not in " + quantized.checkpoint.directory().string(),
                "Give a checkpoint that holds all of the layer");
  }
  if (other->shape == weight.shape) return;
  throw Error(
      ErrorCode::kWrongShape, weight.name,
      fmt::format("has the shape {} in {}, and {} in the source",
                  checkpoint::ShapeText(other->shape), quantized.checkpoint.directory().string(),
                  checkpoint::ShapeText(weight.shape)),
      "Give a checkpoint that was made from the source");
}

}  // namespace

void RequireSameLayer(const SourceModel& source, const SourceModel& quantized, int64_t layer) {
  RequireLayer(layer, source.family->Dims().layers);
  RequireSameModel(source, quantized);
  for (const LogicalWeight& weight : source.layout.weights) {
    if (weight.layer != layer || weight.role == checkpoint::Role::kMtp) continue;
    RequireSameWeight(weight, quantized);
  }
}

}  // namespace vernier::calib

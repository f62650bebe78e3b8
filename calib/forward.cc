#include "calib/forward.h"

#include <system_error>

#include "base/error.h"
#include "calib/device.h"
#include "calib/non_finite_guard.h"

namespace vernier::calib {

void StopIfAsked(const Progress& progress) {
  if (!progress.StopRequested()) return;
  throw Error(ErrorCode::kInterrupted, "this command", "was interrupted and keeps nothing",
              "Run it again from the beginning");
}

ModelForward::ModelForward(const ForwardInputs& inputs)
    : scratch_(inputs.scratch_directory),
      loader_(inputs.source, ParseDevice(inputs.compute.device),
              ToScalarType(inputs.compute.dtype)),
      substituting_(inputs.weights == nullptr
                        ? nullptr
                        : std::make_unique<TensorLoader::Substituting>(loader_, *inputs.weights)),
      decoder_(MakeDecoder(loader_)),
      pass_({.decoder = *decoder_,
             .tokens = inputs.tokens,
             .budget = inputs.budget,
             .device = loader_.device(),
             .compute_dtype = loader_.compute_dtype(),
             .directory = inputs.scratch_directory}) {}

std::shared_ptr<SampleBuffer> ModelForward::Run(int64_t layers, Progress& progress,
                                                const LayerSeen& seen) const {
  Tap nobody;
  return Run(layers, progress, nobody, seen);
}

std::shared_ptr<SampleBuffer> ModelForward::Run(int64_t layers, Progress& progress, Tap& tap,
                                                const LayerSeen& seen) const {
  NonFiniteGuard guard(tap);
  const auto layer_done = [&](int64_t layer, LayerState& state) {
    if (state.in().in_file()) RemoveFilesBehind(layer, state.in().path());
    if (seen) seen(layer, *state.out());
    return state.out();
  };
  return pass_.Run({.hidden = pass_.Embed("embedding.scratch")}, layers, guard, {progress},
                   {.unit_done = [&](int64_t, LayerState&) { StopIfAsked(progress); },
                    .layer_done = layer_done});
}

// A layer's output is all that the next one reads.
void ModelForward::RemoveFilesBehind(int64_t layer, const std::filesystem::path& input) const {
  std::error_code ignored;  // they only take room
  std::filesystem::remove(input, ignored);
  for (size_t i = 0; i < kLayerParts; ++i) {
    const auto part = static_cast<LayerPart>(i);
    if (part == LayerPart::kOut) continue;
    std::filesystem::remove(scratch_ / LayerPartFileName(layer, part, /*spare=*/false), ignored);
  }
}

}  // namespace vernier::calib

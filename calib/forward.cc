#include "calib/forward.h"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "base/error.h"
#include "calib/device.h"

namespace vernier::calib {

LayerLoopOptions LoopOptions(const recipes::CalibrationBudget& budget,
                             const std::filesystem::path& scratch_directory) {
  return {.batch_size = budget.batch_size,
          .query_chunk = budget.query_chunk,
          .experts_per_group = budget.experts_per_group,
          .spill_directory = budget.spill_hidden ? scratch_directory : std::filesystem::path()};
}

void StopIfAsked(const Progress& progress) {
  if (!progress.StopRequested()) return;
  throw Error(ErrorCode::kInterrupted, "this command", "was interrupted and keeps nothing",
              "Run it again from the beginning");
}

ModelForward::ModelForward(const ForwardInputs& inputs)
    : scratch_(inputs.scratch_directory),
      loader_(inputs.source, inputs.device, ToScalarType(inputs.dtype)),
      decoder_(MakeDecoder(loader_)),
      loop_(*decoder_, inputs.tokens, inputs.device, loader_.compute_dtype(),
            LoopOptions(inputs.budget, inputs.scratch_directory)) {}

std::shared_ptr<SampleBuffer> ModelForward::Run(int64_t layers, Progress& progress,
                                                const LayerSeen& seen) const {
  Tap nobody;
  return Run(layers, progress, nobody, seen);
}

std::shared_ptr<SampleBuffer> ModelForward::Run(int64_t layers, Progress& progress, Tap& tap,
                                                const LayerSeen& seen) const {
  NonFiniteGuard guard(tap);
  auto hidden = std::make_shared<SampleBuffer>(loop_.MakeHiddenBuffer("embedding.scratch"));
  loop_.Embed(*hidden);
  for (int64_t layer = 0; layer < layers; ++layer) {
    LayerState state = loop_.MakeState(layer, hidden);
    double reported = 0;
    loop_.RunLayer(layer, state, guard, [&](const LayerState& reached) {
      progress.Advance(reached.Fraction() - std::exchange(reported, reached.Fraction()),
                       fmt::format("layer {}/{}", layer + 1, layers));
      StopIfAsked(progress);
    });
    if (hidden->in_file()) RemoveFilesBehind(layer, hidden->path());
    hidden = std::make_shared<SampleBuffer>(std::move(state.part(LayerPart::kOut)));
    if (seen) seen(layer, *hidden);
  }
  return hidden;
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

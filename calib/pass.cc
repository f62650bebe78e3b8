#include "calib/pass.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace vernier::calib {
namespace {

LayerLoopOptions LoopOptions(const PassInputs& inputs) {
  const CalibrationBudget& budget = inputs.budget;
  return {.batch_size = budget.batch_size,
          .query_chunk = budget.query_chunk,
          .experts_per_group = budget.experts_per_group,
          .all_experts = inputs.all_experts,
          .hidden_on_device = budget.hidden_on_device,
          .spill_directory = budget.spill_hidden ? inputs.directory : std::filesystem::path(),
          .times = inputs.times};
}

// Tells how much of a layer was done since the last time.
class LayerProgress {
 public:
  LayerProgress(const PassProgress& pass, int64_t layer, int64_t end, double done)
      : pass_(pass),
        what_(pass.what.empty() ? fmt::format("layer {}/{}", layer + 1, end)
                                : std::string(pass.what)),
        reported_(done) {}

  void Reach(double fraction) {
    const double done = fraction - std::exchange(reported_, fraction);
    pass_.progress.Advance(pass_.units_per_layer * done, what_);
  }

 private:
  const PassProgress& pass_;
  std::string what_;
  double reported_;
};

}  // namespace

Pass::Pass(const PassInputs& inputs)
    : device_(inputs.device, inputs.compute_dtype),
      loop_(inputs.decoder, inputs.tokens, inputs.device, inputs.compute_dtype,
            LoopOptions(inputs)),
      reads_next_(inputs.reads_next) {}

std::shared_ptr<SampleBuffer> Pass::Embed(std::string_view file_name) const {
  auto hidden = std::make_shared<SampleBuffer>(loop_.MakeHiddenBuffer(file_name));
  loop_.Embed(*hidden);
  return hidden;
}

std::shared_ptr<SampleBuffer> Pass::Run(PassStart start, int64_t end, NonFiniteGuard& guard,
                                        const PassProgress& progress,
                                        const PassHooks& hooks) const {
  device_.Wait();
  std::shared_ptr<SampleBuffer> hidden = std::move(start.hidden);
  std::optional<LayerState> begun = std::move(start.begun);
  for (int64_t layer = start.layer; layer < end; ++layer) {
    LayerState state = begun ? std::move(*begun) : loop_.MakeState(layer, std::move(hidden));
    begun.reset();
    LayerProgress reached(progress, layer, end, state.Fraction());
    const auto unit_done = [&](LayerState& now) {
      reached.Reach(now.Fraction());
      if (hooks.unit_done) hooks.unit_done(layer, now);
    };
    const bool ahead = reads_next_ && layer + 1 < end;
    const auto next_layer = ahead ? std::optional(layer + 1) : std::nullopt;
    loop_.RunLayer(layer, state, guard, unit_done, next_layer);
    hidden = hooks.layer_done ? hooks.layer_done(layer, state) : state.out();
  }
  loop_.ReleaseBuffers();
  return hidden;
}

}  // namespace vernier::calib

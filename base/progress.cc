#include "base/progress.h"

#include <algorithm>
#include <cassert>
#include <chrono>

#include "base/interrupt.h"
#include "base/seconds_since.h"

namespace vernier {
namespace {

using Clock = std::chrono::steady_clock;

class Nobody final : public ProgressListener {
 public:
  void Hear(const ProgressEvent&) override {}
};

}  // namespace

struct Progress::State {
  struct Phase {
    std::string name;
    double expected_seconds = 0;
    double seconds = 0;
    double left = 0;  // of the phase, when it began
    bool finished = false;
  };

  ProgressListener& listener;
  std::vector<Phase> phases = {};
  Phase* current = nullptr;
  double total_units = 0, done_units = 0, resumed_units = 0;
  std::string detail = {};
  Clock::time_point phase_start = Clock::now();

  double PhaseFraction() const {
    return total_units > 0 ? std::min(1.0, done_units / total_units) : 1.0;
  }

  // Measured in this phase once it has moved; the forecast until then.
  double CurrentRemaining() const {
    if (current == nullptr) return 0;
    const double moved = done_units - resumed_units;
    if (moved <= 0) return current->expected_seconds * (1 - PhaseFraction());
    return SecondsSince(phase_start) * (total_units - done_units) / moved;
  }

  // Forecasts of phases to come are scaled by how the finished and running ones compare with
  // theirs.
  double ForecastScale() const {
    double expected = 0, actual = 0;
    for (const Phase& phase : phases) {
      if (phase.finished) {
        expected += phase.expected_seconds * phase.left;
        actual += phase.seconds;
      } else if (&phase == current && done_units > resumed_units) {
        expected += phase.expected_seconds * phase.left;
        actual += SecondsSince(phase_start) + CurrentRemaining();
      }
    }
    return expected > 0 ? actual / expected : 1.0;
  }

  double Eta() const {
    double rest = CurrentRemaining();
    const double scale = ForecastScale();
    for (const Phase& phase : phases) {
      if (!phase.finished && &phase != current) rest += phase.expected_seconds * scale;
    }
    return rest;
  }

  void Tell(ProgressEvent::Kind kind) {
    listener.Hear({.kind = kind,
                   .phase = current->name,
                   .number = static_cast<int>(current - phases.data()) + 1,
                   .phases = static_cast<int>(phases.size()),
                   .fraction = PhaseFraction(),
                   .detail = detail,
                   .phase_seconds = SecondsSince(phase_start),
                   .job_eta_seconds = Eta()});
  }
};

Progress::Progress(ProgressListener& listener, std::vector<PhaseForecast> phases)
    : state_(std::make_unique<State>(State{.listener = listener})) {
  for (PhaseForecast& phase : phases) {
    state_->phases.push_back(
        {.name = std::move(phase.name), .expected_seconds = phase.expected_seconds});
  }
}

Progress::~Progress() = default;

Progress Progress::Silent() {
  static Nobody nobody;
  return Progress(nobody, {});
}

void Progress::BeginPhase(std::string_view name, double total_units, double done_units) {
  auto phase = std::ranges::find(state_->phases, name, &State::Phase::name);
  if (phase == state_->phases.end()) {
    state_->phases.push_back({.name = std::string(name)});
    phase = state_->phases.end() - 1;
  }
  phase->left = total_units > 0 ? 1 - std::min(1.0, done_units / total_units) : 0;
  state_->current = &*phase;
  state_->total_units = total_units;
  state_->done_units = state_->resumed_units = done_units;
  state_->phase_start = Clock::now();
  state_->detail.clear();
  state_->Tell(ProgressEvent::Kind::kBegin);
}

void Progress::Advance(double units, std::string_view detail) {
  assert(state_->current != nullptr);
  state_->done_units += units;
  state_->detail = detail;
  state_->Tell(ProgressEvent::Kind::kAdvance);
}

void Progress::EndPhase() {
  assert(state_->current != nullptr);
  state_->done_units = state_->total_units;
  state_->current->seconds += SecondsSince(state_->phase_start);
  state_->current->finished = true;
  state_->Tell(ProgressEvent::Kind::kEnd);
  state_->current = nullptr;
}

bool Progress::StopRequested() const {
  return InterruptRequested() || state_->listener.WantsStop();
}

void Progress::ThrowIfStopped() const {
  if (StopRequested()) ThrowInterrupted();
}

std::vector<PhaseTime> Progress::PhaseTimes() const {
  std::vector<PhaseTime> times;
  for (const State::Phase& phase : state_->phases) {
    const bool runs = &phase == state_->current;
    times.push_back({.name = phase.name,
                     .seconds = phase.seconds + (runs ? SecondsSince(state_->phase_start) : 0),
                     .expected_seconds = phase.left * phase.expected_seconds});
  }
  return times;
}

}  // namespace vernier

#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace vernier {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kBarInterval = 0.1;    // seconds between redraws
constexpr double kPlainInterval = 5.0;  // seconds between lines off a terminal
constexpr double kJsonInterval = 1.0;
constexpr int kBarWidth = 28;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

ProgressStyle Resolve(ProgressStyle style, std::FILE* stream) {
  if (style != ProgressStyle::kAuto) return style;
  return isatty(fileno(stream)) ? ProgressStyle::kBar : ProgressStyle::kPlain;
}

double ReportInterval(ProgressStyle style) {
  if (style == ProgressStyle::kBar) return kBarInterval;
  return style == ProgressStyle::kJson ? kJsonInterval : kPlainInterval;
}

}  // namespace

struct Progress::State {
  struct Phase {
    std::string name;
    double expected_seconds = 0;
    double seconds = 0;
    bool finished = false;
  };

  ProgressStyle style;
  std::FILE* stream;
  std::vector<Phase> phases;
  Phase* current = nullptr;
  double total_units = 0, done_units = 0, resumed_units = 0;
  std::string detail;
  Clock::time_point phase_start = Clock::now();
  Clock::time_point last_report{};
  bool bar_on_screen = false;

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
        expected += phase.expected_seconds;
        actual += phase.seconds;
      } else if (&phase == current && done_units > resumed_units) {
        expected += phase.expected_seconds * (1 - resumed_units / total_units);
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

  size_t CurrentNumber() const { return static_cast<size_t>(current - phases.data()) + 1; }

  void EraseBar() {
    if (!bar_on_screen) return;
    fmt::print(stream, "\r\x1b[K");
    bar_on_screen = false;
  }

  void PrintBar() {
    const int filled = static_cast<int>(std::lround(PhaseFraction() * kBarWidth));
    EraseBar();
    fmt::print(stream, "[{}/{}] {:<9} [{}{}] {:3.0f}% {}  job ETA {}", CurrentNumber(),
               phases.size(), current->name, std::string(filled, '#'),
               std::string(kBarWidth - filled, '.'), 100 * PhaseFraction(), detail,
               HumanDuration(Eta()));
    std::fflush(stream);
    bar_on_screen = true;
  }

  void PrintPlain() {
    fmt::print(stream, "[{}/{}] {} {:.0f}% {} elapsed {} job ETA {}\n", CurrentNumber(),
               phases.size(), current->name, 100 * PhaseFraction(), detail,
               HumanDuration(SecondsSince(phase_start)), HumanDuration(Eta()));
    std::fflush(stream);
  }

  void PrintJson(std::string_view event) {
    const nlohmann::ordered_json line = {{"event", event},
                                         {"phase", current->name},
                                         {"fraction", PhaseFraction()},
                                         {"detail", detail},
                                         {"phase_seconds", SecondsSince(phase_start)},
                                         {"job_eta_seconds", Eta()}};
    fmt::print(stream, "{}\n", line.dump());
    std::fflush(stream);
  }

  void Report(std::string_view event) {
    last_report = Clock::now();
    switch (style) {
      case ProgressStyle::kBar:
        return PrintBar();
      case ProgressStyle::kPlain:
        return PrintPlain();
      case ProgressStyle::kJson:
        return PrintJson(event);
      case ProgressStyle::kAuto:
      case ProgressStyle::kNone:
        return;
    }
  }
};

Progress::Progress(ProgressStyle style, std::FILE* stream, std::vector<PhaseForecast> phases)
    : state_(std::make_unique<State>()) {
  state_->style = style == ProgressStyle::kNone ? style : Resolve(style, stream);
  state_->stream = stream;
  for (PhaseForecast& phase : phases) {
    state_->phases.push_back(
        {.name = std::move(phase.name), .expected_seconds = phase.expected_seconds});
  }
}

Progress::~Progress() {
  if (state_ != nullptr) state_->EraseBar();
}

Progress::Progress(Progress&&) noexcept = default;

Progress Progress::Silent() { return Progress(ProgressStyle::kNone, stderr, {}); }

void Progress::BeginPhase(std::string_view name, double total_units, double done_units) {
  auto phase = std::ranges::find(state_->phases, name, &State::Phase::name);
  if (phase == state_->phases.end()) {
    // A silent reporter is given no phases; it keeps their times all the same.
    assert(state_->style == ProgressStyle::kNone);
    state_->phases.push_back({.name = std::string(name)});
    phase = state_->phases.end() - 1;
  }
  state_->current = &*phase;
  state_->total_units = total_units;
  state_->done_units = state_->resumed_units = done_units;
  state_->detail.clear();
  state_->phase_start = Clock::now();
  state_->Report("begin");
}

void Progress::Advance(double units, std::string_view detail) {
  assert(state_->current != nullptr);
  state_->done_units += units;
  // Machines are told of every change of detail (the next layer, the next shard) at once.
  const bool news = state_->style == ProgressStyle::kJson && state_->detail != detail;
  state_->detail = detail;
  if (news || SecondsSince(state_->last_report) >= ReportInterval(state_->style)) {
    state_->Report("progress");
  }
}

void Progress::EndPhase() {
  assert(state_->current != nullptr);
  state_->done_units = state_->total_units;
  state_->current->seconds += SecondsSince(state_->phase_start);
  state_->current->finished = true;
  state_->Report("end");
  state_->EraseBar();
  state_->current = nullptr;
}

void Progress::Note(std::string_view line) {
  if (state_->style == ProgressStyle::kNone) return;
  state_->EraseBar();
  if (state_->style == ProgressStyle::kJson) {
    const nlohmann::ordered_json event = {{"event", "note"}, {"text", line}};
    fmt::print(state_->stream, "{}\n", event.dump());
  } else {
    fmt::print(state_->stream, "{}\n", line);
  }
  std::fflush(state_->stream);
}

double Progress::EtaSeconds() const { return state_->phases.empty() ? -1 : state_->Eta(); }

std::vector<std::pair<std::string, double>> Progress::PhaseSeconds() const {
  std::vector<std::pair<std::string, double>> seconds;
  for (const State::Phase& phase : state_->phases) {
    const bool runs = &phase == state_->current;
    seconds.emplace_back(phase.name,
                         phase.seconds + (runs ? SecondsSince(state_->phase_start) : 0));
  }
  return seconds;
}

}  // namespace vernier

// Progress of a whole job made of phases, with an ETA for all of it.
#ifndef VERNIER_BASE_PROGRESS_H_
#define VERNIER_BASE_PROGRESS_H_

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

enum class ProgressStyle {
  kAuto,   // kBar on a terminal, kPlain otherwise
  kBar,    // one line, redrawn
  kPlain,  // a line now and then
  kJson,   // one JSON object per event
  kNone,
};

// A phase of the job. `expected_seconds` comes from the plan's forecast and only sets the weight of
// phases that have not started; once a phase runs, its own speed replaces the forecast.
struct PhaseForecast {
  std::string name;
  double expected_seconds;
};

// Not thread-safe: one thread reports. Writes to `stream` (stderr in the command).
class Progress {
 public:
  Progress(ProgressStyle style, std::FILE* stream, std::vector<PhaseForecast> phases);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // A reporter that prints nothing, for tests and library use.
  static Progress Silent();
  Progress(Progress&&) noexcept;

  // Begins the named phase (it must be one of the job's) with `total_units` of work, of which
  // `done_units` were finished by an earlier run and do not count towards the speed.
  void BeginPhase(std::string_view name, double total_units, double done_units = 0);
  // `detail` is a short text such as "layer 3/61".
  void Advance(double units, std::string_view detail);
  void EndPhase();
  // A line of its own above the bar.
  void Note(std::string_view line);

  // Seconds until the whole job ends, as shown; negative while unknown.
  double EtaSeconds() const;
  // Seconds spent in each phase so far, in order of phases.
  std::vector<std::pair<std::string, double>> PhaseSeconds() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vernier

#endif  // VERNIER_BASE_PROGRESS_H_

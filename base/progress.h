// Progress of a whole job made of phases, with an ETA for all of it.
#ifndef VERNIER_BASE_PROGRESS_H_
#define VERNIER_BASE_PROGRESS_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

// A phase of the job. `expected_seconds` comes from the plan's forecast and only sets the weight of
// phases that have not started; once a phase runs, its own speed replaces the forecast.
struct PhaseForecast {
  std::string name;
  double expected_seconds;
};

// How long a phase took.
struct PhaseTime {
  std::string name;
  double seconds = 0;
  double expected_seconds = 0;  // by the forecast, for what was left when it began
};

// Where a job is. Texts live as long as the call that hands the event over.
struct ProgressEvent {
  enum class Kind { kBegin, kAdvance, kEnd };

  Kind kind = Kind::kBegin;
  std::string_view phase;      // its name
  int number = 1;              // of the phase among the job's, from 1
  int phases = 1;              // that the job has
  double fraction = 0;         // of the phase, 0 to 1
  std::string_view detail;     // a short text such as "layer 3/61"
  double phase_seconds = 0;    // since the phase began
  double job_eta_seconds = 0;  // until the whole job ends
};

// Who wants to know how a job goes on, and may end it. Calls come one at a time, but not always on
// the thread that began the job.
class ProgressListener {
 public:
  virtual ~ProgressListener() = default;
  virtual void Hear(const ProgressEvent& event) = 0;
  // A sentence that whoever began the job should know before it goes on.
  virtual void Warn(std::string_view /*warning*/) {}
  // True ends the job with kInterrupted as soon as what is finished is durable.
  virtual bool WantsStop() { return false; }
};

// What a job reports to. Not thread-safe: one thread reports at a time.
class Progress {
 public:
  // A job of `phases`; the listener must outlive it.
  Progress(ProgressListener& listener, std::vector<PhaseForecast> phases);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // To which nobody listens.
  static Progress Silent();

  // Begins the named phase with `total_units` of work, of which `done_units` were finished by an
  // earlier run and do not count towards the speed. A phase that the job did not announce comes
  // behind the others.
  void BeginPhase(std::string_view name, double total_units, double done_units = 0);
  // `detail` is a short text such as "layer 3/61".
  void Advance(double units, std::string_view detail);
  void EndPhase();

  // Whether the listener or a first Ctrl-C (base/interrupt.h) wants the job to end.
  bool StopRequested() const;
  // To be called between two units of work, when the finished ones are durable: kInterrupted if
  // StopRequested.
  void ThrowIfStopped() const;

  // Those of each phase so far, in order of phases.
  std::vector<PhaseTime> PhaseTimes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vernier

#endif  // VERNIER_BASE_PROGRESS_H_

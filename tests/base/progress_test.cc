#include "base/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/expect_error.h"

namespace vernier {
namespace {

using ::testing::ElementsAre;
using Kind = ProgressEvent::Kind;

struct Heard {
  Kind kind;
  std::string phase;
  int number, phases;
  double fraction;
  std::string detail;
  double eta;
};

class Recorder final : public ProgressListener {
 public:
  void Hear(const ProgressEvent& event) override {
    events.push_back({event.kind, std::string(event.phase), event.number, event.phases,
                      event.fraction, std::string(event.detail), event.job_eta_seconds});
  }
  bool WantsStop() override { return stop; }

  std::vector<Heard> events;
  bool stop = false;
};

TEST(Progress, EtaScalesTheForecastOfLaterPhasesByWhatWasMeasured) {
  Recorder recorder;
  Progress progress(recorder, {{"calibrate", 1.0}, {"export", 3.0}});
  progress.BeginPhase("calibrate", 10);
  EXPECT_DOUBLE_EQ(recorder.events.back().eta, 4.0);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  progress.Advance(5, "half");
  // Half of the phase took at least 50 ms: the rest takes as long, and the second phase, forecast
  // to be three times the first, three times the whole.
  EXPECT_GE(recorder.events.back().eta, 0.05 + 3 * 0.1);
  EXPECT_LT(recorder.events.back().eta, 3.0) << "the forecast was not replaced by the measurement";
}

TEST(Progress, ResumedWorkDoesNotCountTowardsTheSpeed) {
  Recorder recorder;
  Progress progress(recorder, {{"export", 1.0}});
  progress.BeginPhase("export", 100, 90);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  progress.Advance(5, "");
  EXPECT_GE(recorder.events.back().eta, 0.019);
}

TEST(Progress, TheListenerHearsEveryEventWithItsPlaceInTheJob) {
  Recorder recorder;
  Progress progress(recorder, {{"calibrate", 1.0}, {"export", 1.0}});
  progress.BeginPhase("export", 4, 1);
  progress.Advance(2, "shard 1/2");
  progress.EndPhase();
  ASSERT_EQ(recorder.events.size(), 3u);
  const std::vector<Kind> kinds = {recorder.events[0].kind, recorder.events[1].kind,
                                   recorder.events[2].kind};
  EXPECT_THAT(kinds, ElementsAre(Kind::kBegin, Kind::kAdvance, Kind::kEnd));
  EXPECT_DOUBLE_EQ(recorder.events[0].fraction, 0.25);
  EXPECT_EQ(recorder.events[0].number, 2);
  EXPECT_EQ(recorder.events[0].phases, 2);
  EXPECT_DOUBLE_EQ(recorder.events[1].fraction, 0.75);
  EXPECT_EQ(recorder.events[1].detail, "shard 1/2");
  EXPECT_DOUBLE_EQ(recorder.events[2].fraction, 1.0);
  EXPECT_EQ(recorder.events[2].phase, "export");
}

TEST(Progress, TheListenerMayEndTheJob) {
  Recorder recorder;
  Progress progress(recorder, {{"export", 1.0}});
  EXPECT_NO_THROW(progress.ThrowIfStopped());
  recorder.stop = true;
  EXPECT_TRUE(progress.StopRequested());
  EXPECT_VERNIER_ERROR(progress.ThrowIfStopped(), ErrorCode::kInterrupted, "interrupted");
}

TEST(Progress, PhasesThatWereNotAnnouncedAreTimedToo) {
  Progress progress = Progress::Silent();
  progress.BeginPhase("trace", 1);
  progress.EndPhase();
  ASSERT_EQ(progress.PhaseTimes().size(), 1u);
  EXPECT_EQ(progress.PhaseTimes().front().name, "trace");
}

TEST(Progress, TheForecastOfAPhaseIsThatOfWhatWasLeft) {
  Recorder recorder;
  Progress progress(recorder, {{"calibrate", 8.0}, {"export", 3.0}});
  progress.BeginPhase("calibrate", 4, 3);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  progress.EndPhase();
  const std::vector<PhaseTime> times = progress.PhaseTimes();
  ASSERT_EQ(times.size(), 2u);
  EXPECT_DOUBLE_EQ(times[0].expected_seconds, 2.0);
  EXPECT_GE(times[0].seconds, 0.019);
  EXPECT_DOUBLE_EQ(times[1].expected_seconds, 0) << "it did not begin: there is nothing to do";
  // A quarter took 20 ms where 2 s were forecast; what comes is scaled by that.
  progress.BeginPhase("report", 1);
  EXPECT_LT(recorder.events.back().eta, 3.0 * times[0].seconds / 2.0 + 0.001);
  EXPECT_GT(recorder.events.back().eta, 0.0);
}

}  // namespace
}  // namespace vernier

// Where the time of long work goes.
#ifndef VERNIER_BASE_STAGE_TIMES_H_
#define VERNIER_BASE_STAGE_TIMES_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

struct StageTime {
  std::string stage;
  double seconds = 0;  // of the wall clock, all times together
  int64_t times = 0;
};

// One thread at a time.
class StageTimes {
 public:
  void Add(std::string_view stage, double seconds) {
    auto found = std::ranges::find(stages_, stage, &StageTime::stage);
    if (found == stages_.end()) {
      found = stages_.insert(stages_.end(), {.stage = std::string(stage)});
    }
    found->seconds += seconds;
    ++found->times;
  }

  // In order of their first time.
  const std::vector<StageTime>& stages() const { return stages_; }

 private:
  std::vector<StageTime> stages_;
};

// Adds the time that it lives. `times` may be null.
class StageClock {
 public:
  StageClock(StageTimes* times, std::string_view stage) : times_(times), stage_(stage) {}
  ~StageClock() {
    if (times_ == nullptr) return;
    times_->Add(stage_, std::chrono::duration<double>(Clock::now() - start_).count());
  }
  StageClock(const StageClock&) = delete;
  StageClock& operator=(const StageClock&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  StageTimes* times_;
  std::string_view stage_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace vernier

#endif  // VERNIER_BASE_STAGE_TIMES_H_

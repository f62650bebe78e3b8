// When an unfinished layer is saved.
#ifndef VERNIER_CALIB_SAVE_POLICY_H_
#define VERNIER_CALIB_SAVE_POLICY_H_

#include <algorithm>
#include <cstdint>

namespace vernier::calib {

// A layer is saved between two units of work (a batch, a group of experts) when waiting for the
// next unit could make more than `interval` seconds of unsaved work, but not while repeating the
// unsaved work would cost less than saving it. So whatever happens, what is lost is at most the
// longest of the interval, one unit and one save, and the unit in flight. All times in seconds.
class SavePolicy {
 public:
  // `interval` >= 0; 0 saves after every unit, whatever that costs.
  explicit SavePolicy(double interval) : interval_(interval) {}

  void UnitDone(double seconds) {
    unsaved_ += seconds;
    longest_unit_ = std::max(longest_unit_, seconds);
  }

  // `bytes`: what a save would have to write.
  bool ShouldSave(uint64_t bytes) const {
    if (interval_ == 0) return true;
    return unsaved_ + longest_unit_ > interval_ && unsaved_ >= SaveSeconds(bytes);
  }

  // A save that wrote `bytes` took `seconds`.
  void Saved(uint64_t bytes, double seconds) {
    unsaved_ = 0;
    saved_bytes_ += bytes;
    saved_seconds_ += seconds;
  }

  // Everything before now was committed, and units of other lengths may come.
  void LayerCommitted() {
    unsaved_ = 0;
    longest_unit_ = 0;
  }

  // As fast as all saves so far; 0 before the first one.
  double SaveSeconds(uint64_t bytes) const {
    return saved_bytes_ == 0
               ? 0
               : saved_seconds_ * static_cast<double>(bytes) / static_cast<double>(saved_bytes_);
  }

  double unsaved() const { return unsaved_; }

 private:
  double interval_;
  double unsaved_ = 0;
  double longest_unit_ = 0;
  uint64_t saved_bytes_ = 0;
  double saved_seconds_ = 0;
};

// When layers that have ended are committed. One waits for the next as long as a crash would cost
// less than `interval` seconds of work with that one, if it takes half as long again as the longest
// so far; and only where layers are much shorter than the interval, because a stop waits for the
// end of the layer under way. All times in seconds.
class CommitPolicy {
 public:
  // `interval` >= 0; 0 commits every layer.
  explicit CommitPolicy(double interval) : interval_(interval) {}

  void LayerDone(double seconds) {
    waiting_ += seconds;
    longest_ = std::max(longest_, seconds);
  }

  bool Due() const {
    return waiting_ + kSlower * longest_ > interval_ || longest_ > kShort * interval_;
  }

  void Committed() { waiting_ = 0; }

 private:
  static constexpr double kSlower = 1.5;
  static constexpr double kShort = 0.25;

  double interval_;
  double waiting_ = 0;
  double longest_ = 0;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_SAVE_POLICY_H_

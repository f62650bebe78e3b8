// The one place that knows what becomes of NaN and infinity among activations.
#ifndef VERNIER_CALIB_NON_FINITE_GUARD_H_
#define VERNIER_CALIB_NON_FINITE_GUARD_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "calib/tap.h"
#include "run/non_finite_record.h"

namespace vernier::calib {

enum class NonFinitePolicy {
  kStop,   // an error
  kClamp,  // left out of statistics, clamped in hidden states, and recorded
};

// Stands between a forward pass and a tap. A unit of work (a batch, a group of experts) asks it
// whether all was well. Under kStop that is one look at the end of the unit, and a unit that was
// not well is run again with a BadInputFinder. Under kClamp every value is looked at before it is
// used, and all is well.
class NonFiniteGuard final : public Tap {
 public:
  // `tap` must outlive it.
  explicit NonFiniteGuard(Tap& tap, NonFinitePolicy policy = NonFinitePolicy::kStop)
      : tap_(tap), policy_(policy) {}

  // The tap sees what it wants, under kClamp with 0 for what is not finite; replacements are its
  // own.
  bool Wants(std::string_view name) const override { return tap_.Wants(name); }
  void Observe(const LinearSite& site, const at::Tensor& x) override;
  void ObserveCache(std::string_view entry, const at::Tensor& x) override;
  void ObserveBlock(std::string_view block, const at::Tensor& shares) override {
    tap_.ObserveBlock(block, shares);
  }
  void EndBatch() override { tap_.EndBatch(); }
  at::Tensor Replace(std::string_view module, const at::Tensor& x) override {
    return tap_.Replace(module, x);
  }
  at::Tensor ReplaceCache(std::string_view entry, const at::Tensor& x) override {
    return tap_.ReplaceCache(entry, x);
  }
  bool Finite() const override { return tap_.Finite(); }

  bool clamps() const { return policy_ == NonFinitePolicy::kClamp; }

  // The sample of each token [tokens] (I64, on the host) of what is observed or clamped until the
  // next call: for records.
  void SetSamples(at::Tensor samples) { samples_ = std::move(samples); }

  // What to go on with instead of the computed values `x` of `name` (undefined: none): under kClamp
  // with 0 for NaN and the largest finite values of its dtype for infinities, else x itself.
  at::Tensor Clamp(std::string_view name, const at::Tensor& x);

  // Whether these values, or all that the tap keeps, are finite; under kClamp they are. Else waits
  // for the device, once.
  bool IsGood(std::span<const at::Tensor> computed) const;
  bool IsGood(const at::Tensor& computed) const { return IsGood(std::span(&computed, 1)); }
  bool TapIsGood() const { return clamps() || tap_.Finite(); }

  // What was clamped in this layer so far, in order of names.
  std::vector<run::NonFiniteRecord> NonFinites(int layer) const;
  // Goes on from what NonFinites returned.
  void Restore(std::span<const run::NonFiniteRecord> records);
  // Before the next layer.
  void Clear() { records_.clear(); }

 private:
  // Whether some of `x` must be made finite; then it is recorded.
  bool RecordNonFinite(std::string_view name, const at::Tensor& x);
  // What of `x` counts in statistics.
  at::Tensor Counted(std::string_view name, const at::Tensor& x);

  Tap& tap_;
  NonFinitePolicy policy_;
  at::Tensor samples_;
  std::map<std::string, run::NonFiniteRecord, std::less<>> records_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_NON_FINITE_GUARD_H_

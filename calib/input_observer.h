// Records the amax of linear layers' inputs, reduced on the device.
#ifndef VERNIER_CALIB_INPUT_OBSERVER_H_
#define VERNIER_CALIB_INPUT_OBSERVER_H_

#include <ATen/ATen.h>

#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "calib/non_finite.h"
#include "run/non_finite_record.h"
#include "run/store.h"

namespace vernier::calib {

// What becomes of NaN and infinity among activations.
enum class OnNonFinite {
  kStop,   // an error
  kClamp,  // left out of amax, clamped in hidden states, and recorded
};

// A linear layer that the forward pass is about to run.
struct LinearSite {
  std::string_view module;
  const at::Tensor& weight;  // [N, K], compute dtype
  // Group g of a token's input meets rows [g * N / groups, (g + 1) * N / groups) of the weight.
  int64_t groups = 1;
};

// Holds device state for one layer at a time. Not thread-safe.
class InputObserver {
 public:
  // `modules`: whose inputs are wanted; all others are ignored at no cost.
  explicit InputObserver(std::span<const std::string> modules,
                         OnNonFinite on_non_finite = OnNonFinite::kStop);
  virtual ~InputObserver() = default;

  virtual bool Wants(std::string_view module) const;

  // `x` [..., K]: inputs that the linear layer `module` is about to see, one row a token (or a
  // token's group). Padding must have been left out. No rows: nothing happens.
  virtual void Observe(std::string_view module, const at::Tensor& x);

  // The same, told of the layer as a whole; rows of several groups alternate, a token's first.
  virtual void ObserveLinear(const LinearSite& site, const at::Tensor& x) {
    Observe(site.module, x);
  }
  // What `module` is run on instead of its input `x` [..., K], rows of padding included: for those
  // that imitate an engine's activations. Here `x` itself.
  virtual at::Tensor Replace(std::string_view module, const at::Tensor& x);
  // The same for what attention caches as `entry`.
  virtual at::Tensor ReplaceCache(std::string_view entry, const at::Tensor& x);

  // The sample [tokens] (I64, on the host) of each token that is observed until the next call. Only
  // needed where clamps() or a message must name it.
  void SetSamples(at::Tensor samples) { samples_ = std::move(samples); }

  bool clamps() const { return on_non_finite_ == OnNonFinite::kClamp; }
  // `x` itself, or clamped and recorded as `module`'s when it holds NaN or infinity. For clamps().
  at::Tensor Clamp(std::string_view module, const at::Tensor& x);

  // Whether everything observed in this layer was finite. Waits for the device.
  bool Finite() const;

  // What was observed in this layer so far, on the CPU, in module order. A NaN or infinite amax is
  // kBadActivation.
  std::vector<run::InputAmax> Inputs(int layer) const;
  std::vector<run::NonFiniteRecord> NonFinites(int layer) const;
  void Clear();
  // Inputs, and then Clear.
  std::vector<run::InputAmax> Snapshot(int layer);

  // Goes on from what Inputs and NonFinites returned, on `device`.
  void Restore(std::span<const run::InputAmax> inputs,
               std::span<const run::NonFiniteRecord> non_finites, at::Device device);

 protected:
  // The sample that row `row` of `rows` rows belongs to.
  int64_t SampleOf(int64_t row, int64_t rows) const;

 private:
  struct Entry {
    at::Tensor amax;  // 0-d, on the device, dtype of the inputs
    int64_t tokens = 0;
  };
  void Record(std::string_view module, const NonFinite& found, const at::Tensor& x);

  std::set<std::string, std::less<>> wanted_;
  OnNonFinite on_non_finite_;
  at::Tensor samples_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, run::NonFiniteRecord, std::less<>> non_finites_;
};

// Finds where an activation went bad: wants every module, and throws kBadActivation at the first
// input that is not finite, naming module, layer, sample and value.
class BadInputFinder final : public InputObserver {
 public:
  // `samples` as for SetSamples.
  BadInputFinder(int64_t layer, at::Tensor samples);

  bool Wants(std::string_view) const override { return true; }
  void Observe(std::string_view module, const at::Tensor& x) override;

  // The same for hidden states or outputs, described by `what`.
  void Check(std::string_view module, std::string_view what, const at::Tensor& x) const;

 private:
  int64_t layer_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_INPUT_OBSERVER_H_

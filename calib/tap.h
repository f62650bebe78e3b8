// The seam between a forward pass and those who look at it.
#ifndef VERNIER_CALIB_TAP_H_
#define VERNIER_CALIB_TAP_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <span>
#include <string_view>

namespace vernier::calib {

// A linear layer that the forward pass is about to run.
struct LinearSite {
  std::string_view module;
  const at::Tensor& weight;  // [N, K], compute dtype
  // Group g of a token's input meets rows [g * N / groups, (g + 1) * N / groups) of the weight.
  int64_t groups = 1;
  // Of a batch's sequences, in order, how many of the rows that are shown belong to each. Empty:
  // the rows follow those shown before in the order of all samples.
  std::span<const int64_t> sequences = {};
  // It scores experts: of no concern to those who compare what is quantised.
  bool is_router = false;
};

// Sees the inputs of linear layers and what attention caches, and may replace them. A plain Tap is
// nobody: it wants nothing and changes nothing. Not thread-safe.
class Tap {
 public:
  virtual ~Tap() = default;

  // Whether the inputs of a linear layer, the entries of a cache, or a block are to be shown. What
  // nobody wants costs nothing.
  virtual bool Wants([[maybe_unused]] std::string_view name) const { return false; }

  // `x` [rows, K]: inputs that a wanted linear layer is about to see, one row a token; of several
  // groups one row a token's group, a token's first. Padding has been left out.
  virtual void Observe([[maybe_unused]] const LinearSite& site,
                       [[maybe_unused]] const at::Tensor& x) {}
  // The same for what attention caches as `entry`.
  virtual void ObserveCache([[maybe_unused]] std::string_view entry,
                            [[maybe_unused]] const at::Tensor& x) {}

  // How much of a token's hidden states a wanted block, attention or an FFN, has made: `shares`
  // [tokens, 1] F32 (calib/block_shares.h). Padding has been left out.
  virtual void ObserveBlock([[maybe_unused]] std::string_view block,
                            [[maybe_unused]] const at::Tensor& shares) {}

  // Everything of a batch was shown whose rows came with their sequences: perhaps some positions of
  // each sequence after the others.
  virtual void EndBatch() {}

  // What `module` is run on instead of its input `x` [..., K], rows of padding included: for those
  // that imitate an engine's activations.
  virtual at::Tensor Replace([[maybe_unused]] std::string_view module, const at::Tensor& x) {
    return x;
  }
  // The same for what attention caches as `entry`.
  virtual at::Tensor ReplaceCache([[maybe_unused]] std::string_view entry, const at::Tensor& x) {
    return x;
  }

  // Whether everything that is kept of what was observed is finite. May wait for the device.
  virtual bool Finite() const { return true; }
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_TAP_H_

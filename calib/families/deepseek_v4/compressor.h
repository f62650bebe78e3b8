// Compressed keys: each window of tokens becomes one entry, a softmax-weighted mean per channel.
#ifndef VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_COMPRESSOR_H_
#define VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_COMPRESSOR_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>

#include "calib/families/deepseek_v4/rope.h"
#include "calib/tensor_loader.h"

namespace vernier::calib::deepseek_v4 {

// wkv, wgate, ape and norm below `module` in the checkpoint. When `ape` is
// twice as wide as the norm, windows overlap: an entry also draws on the window before its own,
// through the first half of the channels, and on its own through the second half.
class Compressor {
 public:
  // What it keeps of B sequences.
  struct Past {
    at::Tensor entries;        // [B, W, d], of the windows that are full
    at::Tensor content, gate;  // [B, P, width] F32, of the last P tokens, which later entries need
  };

  // `rope_frequencies`: F32 on the host.
  Compressor(const TensorLoader& loader, const std::string& module,
             const at::Tensor& rope_frequencies, double norm_eps);

  // Tokens of a window.
  int64_t ratio() const { return ape_.size(0); }

  // x [B, S, D] of the next S tokens: adds the entries of the windows that they fill, in x's dtype,
  // rotated by the position of their window's first token. Entry w depends on tokens before
  // (w + 1) * ratio alone.
  void Append(const at::Tensor& x, Past& past) const;

 private:
  bool overlaps() const { return ape_.size(1) == 2 * norm_.size(0); }
  // The entries of the windows in `content` and `gate` [B, W, ratio, width], without rotation.
  at::Tensor Compress(at::Tensor content, at::Tensor gate) const;

  at::Tensor wkv_, wgate_;  // [width, D], compute dtype
  at::Tensor ape_;          // [ratio, width], F32
  at::Tensor norm_;         // [d], F32
  at::Tensor rope_frequencies_;
  double norm_eps_;
};

// `past` [B, P, ...], or nothing if undefined, with `next` [B, S, ...] behind it.
at::Tensor Join(const at::Tensor& past, const at::Tensor& next);

}  // namespace vernier::calib::deepseek_v4

#endif  // VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_COMPRESSOR_H_

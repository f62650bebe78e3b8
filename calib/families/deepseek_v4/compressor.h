// Compressed keys: each window of tokens becomes one entry, a softmax-weighted mean per channel.
#ifndef VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_COMPRESSOR_H_
#define VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_COMPRESSOR_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>

#include "calib/families/deepseek_v4/rope.h"
#include "calib/tensor_loader.h"

namespace vernier::calib::deepseek_v4 {

// `prefix` + "wkv.weight", "wgate.weight", "ape" and "norm.weight" in the checkpoint. When `ape` is
// twice as wide as the norm, windows overlap: an entry also draws on the window before its own,
// through the first half of the channels, and on its own through the second half.
class Compressor {
 public:
  Compressor(const TensorLoader& loader, const std::string& prefix, double norm_eps);

  // Tokens of a window.
  int64_t ratio() const { return ape_.size(0); }

  // x [B, S, D], rotations of positions [0, S) -> entries [B, S / ratio, d] in x's dtype, rotated
  // by the position of their window's first token. Tokens behind the last full window are unused.
  // Entry w depends on tokens before (w + 1) * ratio alone.
  at::Tensor Entries(const at::Tensor& x, const RopeTable& rope) const;

 private:
  at::Tensor wkv_, wgate_;  // [width, D], compute dtype
  at::Tensor ape_;          // [ratio, width], F32
  at::Tensor norm_;         // [d], F32
  double norm_eps_;
};

}  // namespace vernier::calib::deepseek_v4

#endif  // VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_COMPRESSOR_H_

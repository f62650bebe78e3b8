// The decoder that most families are: one residual stream, a norm before attention and one before
// the feed-forward network. A layer's block says what attention and which router it has.
#ifndef VERNIER_CALIB_FAMILIES_RESIDUAL_DECODER_H_
#define VERNIER_CALIB_FAMILIES_RESIDUAL_DECODER_H_

#include <ATen/ATen.h>

#include <memory>

#include "calib/families/decoder.h"
#include "calib/families/scaled_attention.h"
#include "calib/tap.h"
#include "calib/tensor_loader.h"
#include "checkpoint/families/decoder_config.h"

namespace vernier::calib {

class Attention {
 public:
  virtual ~Attention() = default;

  // x [B, S, D], normalised, of the S positions behind those in `past`, which gets theirs ->
  // [B, S, D]. Observes the inputs of its linear layers, and what it keeps of every token for later
  // ones.
  virtual at::Tensor Forward(const at::Tensor& x, const TokenBatch& batch, KeyValues& past,
                             Tap& tap) const = 0;
};

class Router {
 public:
  virtual ~Router() = default;

  // x [T, D] -> experts and weights [T, k].
  virtual Routing Route(const at::Tensor& x) const = 0;

  // What makes scores of x: [E, D].
  virtual const at::Tensor& weight() const = 0;
};

// `config` must be of the loader's model, and outlive the decoder.
std::unique_ptr<Decoder> MakeResidualDecoder(const TensorLoader& loader,
                                             const checkpoint::DecoderConfig& config);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_RESIDUAL_DECODER_H_

// DeepSeek-V4's attention: a sliding window over one shared key/value head, with attention sinks
// and, in layers that compress, compressed entries; the output projection is low-rank and grouped.
#ifndef VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_ATTENTION_H_
#define VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_ATTENTION_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <string>

#include "calib/families/decoder.h"
#include "calib/families/deepseek_v4/compressor.h"
#include "calib/families/deepseek_v4/indexer.h"
#include "calib/families/deepseek_v4/rope.h"
#include "calib/tap.h"
#include "calib/tensor_loader.h"
#include "checkpoint/families/deepseek_v4_config.h"

namespace vernier::calib::deepseek_v4 {

class Attention {
 public:
  // Memory grows with `query_chunk` times the keys that a query may see, never with S squared.
  Attention(const TensorLoader& loader, int64_t layer, const checkpoint::DeepseekV4Config& config,
            int64_t query_chunk);

  // What it keeps of B sequences.
  struct Past {
    int64_t length = 0;  // tokens so far
    at::Tensor kv;       // [B, P, d], of the last P tokens, which windows still reach
    Compressor::Past entries, indexed;  // of layers with a compressor, or an indexer
  };

  // x [B, S, D], normalised, of the S tokens behind those in `past`, which gets theirs ->
  // [B, S, D]. Observes the inputs of wq_a, wq_b, wkv, wo_a (one row per token and group), wo_b and
  // indexer.wq_b.
  at::Tensor Forward(const at::Tensor& x, const TokenBatch& batch, Past& past, Tap& tap) const;

 private:
  // What all chunks of queries share. Of its S tokens the first has position `first`.
  struct Sequence {
    int64_t first = 0;
    at::Tensor x;  // [B, S, D]
    // Inputs of wq_b and of the indexer's, [B, S, q_lora_rank]; the latter undefined without one.
    at::Tensor q_in, index_q_in;
    at::Tensor kv;          // [B, P + S, d], of the P tokens before too
    at::Tensor entries;     // [B, W, d]; undefined without a compressor
    at::Tensor index_keys;  // [B, W, index_head_dim]; undefined without an indexer
    RopeTable rope;         // of the S tokens
  };
  // Keys for a chunk of C queries.
  struct Keys {
    at::Tensor values;   // [B, K, d]: keys and values at once
    at::Tensor visible;  // bool [B, C, K]
  };

  Sequence Project(const at::Tensor& x, const TokenBatch& batch, Past& past, Tap& tap) const;
  // Of tokens [begin, end) of the S.
  Keys WindowKeys(const Sequence& sequence, int64_t begin, int64_t end) const;
  Keys EntryKeys(const Sequence& sequence, int64_t begin, int64_t end) const;
  at::Tensor AttendChunk(const Sequence& sequence, int64_t begin, int64_t end) const;
  at::Tensor ProjectOutput(const at::Tensor& heads, const TokenBatch& batch, Tap& tap) const;

  std::string module_;  // "layers.0.attn"
  int64_t heads_, head_dim_, groups_, window_, query_chunk_;
  double norm_eps_;
  at::Tensor wq_a_, wq_b_, wkv_, wo_a_, wo_b_;  // compute dtype
  at::Tensor q_norm_, kv_norm_, sink_;          // F32
  at::Tensor rope_frequencies_;
  std::optional<Compressor> compressor_;
  std::optional<Indexer> indexer_;
};

// Attention of q [B, C, h, d] to keys [B, K, d], which are the values too: F32 softmax of
// q . k / sqrt(d) over the visible keys (bool [B, C, K]) and sink [h], which takes part in the
// denominator only -> [B, C, h, d], q's dtype.
at::Tensor AttendWithSink(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& visible,
                          const at::Tensor& sink);

}  // namespace vernier::calib::deepseek_v4

#endif  // VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_ATTENTION_H_

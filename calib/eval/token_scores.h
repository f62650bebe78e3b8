// From hidden states behind the last layer to a score of each token.
#ifndef VERNIER_CALIB_EVAL_TOKEN_SCORES_H_
#define VERNIER_CALIB_EVAL_TOKEN_SCORES_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>

#include "calib/eval/statistics.h"
#include "calib/families/decoder.h"
#include "calib/sample_buffer.h"
#include "datasets/evaluation_set.h"

namespace vernier::calib {

// What logits are made from.
struct FinalStates {
  const Decoder& decoder;
  const SampleBuffer& hidden;  // of all samples, behind the last layer
};

// Scores of all rows [rows, V] of logits, F32, on any device; `targets` [rows] I64 beside them.
// `reference` is undefined or has the same shape. log q = log_softmax in F64, so that equal logits
// give a divergence of exactly 0; of equal logits the lower id is the most probable token.
TokenScores ScoreLogits(const at::Tensor& logits, const at::Tensor& reference,
                        const at::Tensor& targets);

// Scores the scored tokens of `data`, in order of window and position; against `reference` unless
// it is null. Heads are loaded for the call, and logits exist for a bounded number of positions at
// a time, whatever the vocabulary. `window_done`: called with the number of finished windows.
// kBadActivation when a model gives NaN.
TokenScores ScoreTokens(const datasets::EvaluationSet& data, at::Device device,
                        const FinalStates& model, const FinalStates* reference,
                        const std::function<void(int64_t)>& window_done);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_EVAL_TOKEN_SCORES_H_

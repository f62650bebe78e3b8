// Perplexity and KL divergence from values of each scored token. Knows no libtorch.
//
// The names are those of llama.cpp's llama-perplexity. Standard errors take tokens for independent
// draws, as it does.
#ifndef VERNIER_CALIB_EVAL_STATISTICS_H_
#define VERNIER_CALIB_EVAL_STATISTICS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vernier::calib {

// Of scored tokens, in order.
struct TokenScores {
  std::vector<float> nll;         // -ln q(token), nats
  std::vector<float> kl;          // KL(p || q) of the next token, nats; empty without a reference
  std::vector<uint8_t> same_top;  // whether p and q have the same most probable token; as kl

  // Those of tokens [first, first + count).
  TokenScores Slice(size_t first, size_t count) const;
};

struct Estimate {
  double value = 0;
  double standard_error = 0;  // infinite for a single token
};

// Mean of values, summed in F64 in their order.
Estimate MeanOf(std::span<const float> values);

// The value below which the share `q` in [0, 1] of `sorted` lies, interpolated linearly between
// the two nearest ranks.
double Quantile(std::span<const float> sorted, double q);

struct Likelihood {
  int64_t tokens = 0;
  Estimate nll;         // mean, nats
  Estimate perplexity;  // exp of it; its error by the delta method
};
Likelihood LikelihoodOf(std::span<const float> nll);

// A model q against the reference p.
struct Divergence {
  Estimate mean_kl;
  double median_kl = 0, p90_kl = 0, p95_kl = 0, p99_kl = 0, p999_kl = 0, max_kl = 0;
  Estimate same_top;          // share of tokens with the same most probable next token
  Estimate perplexity_ratio;  // PPL(q) / PPL(p); its error from the differences token by token
  Estimate delta_p;           // mean of q(token) - p(token)
  double rms_delta_p = 0;
};
// `model` has kl and same_top; `reference` has as many tokens.
Divergence DivergenceOf(const TokenScores& model, const TokenScores& reference);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_EVAL_STATISTICS_H_

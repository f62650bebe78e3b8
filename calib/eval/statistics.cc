#include "calib/eval/statistics.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace vernier::calib {
namespace {

// Mean and standard error of value(0) .. value(count - 1), in two passes.
Estimate MeanOfEach(size_t count, const auto& value) {
  assert(count > 0);
  const auto n = static_cast<double>(count);
  double sum = 0;
  for (size_t i = 0; i < count; ++i) sum += value(i);
  const double mean = sum / n;
  double squares = 0;
  for (size_t i = 0; i < count; ++i) squares += (value(i) - mean) * (value(i) - mean);
  return {mean,
          count > 1 ? std::sqrt(squares / (n - 1) / n) : std::numeric_limits<double>::infinity()};
}

// exp of an estimate, by the delta method.
Estimate Exp(const Estimate& estimate) {
  const double value = std::exp(estimate.value);
  return {value, value * estimate.standard_error};
}

template <typename T>
std::vector<T> Part(const std::vector<T>& values, size_t first, size_t count) {
  if (values.empty()) return {};
  const auto begin = values.begin() + static_cast<ptrdiff_t>(first);
  return {begin, begin + static_cast<ptrdiff_t>(count)};
}

double Probability(float nll) { return std::exp(-static_cast<double>(nll)); }

void SummarizeKl(std::vector<float> kl, Divergence* result) {
  result->mean_kl = MeanOf(kl);
  std::ranges::sort(kl);
  result->median_kl = Quantile(kl, 0.5);
  result->p90_kl = Quantile(kl, 0.9);
  result->p95_kl = Quantile(kl, 0.95);
  result->p99_kl = Quantile(kl, 0.99);
  result->p999_kl = Quantile(kl, 0.999);
  result->max_kl = kl.back();
}

}  // namespace

TokenScores TokenScores::Slice(size_t first, size_t count) const {
  return {Part(nll, first, count), Part(kl, first, count), Part(same_top, first, count)};
}

Estimate MeanOf(std::span<const float> values) {
  return MeanOfEach(values.size(), [&](size_t i) { return static_cast<double>(values[i]); });
}

double Quantile(std::span<const float> sorted, double q) {
  assert(!sorted.empty() && q >= 0 && q <= 1);
  const double rank = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(rank);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double share = rank - static_cast<double>(below);
  const double low = sorted[below], high = sorted[above];
  return low + share * (high - low);
}

Likelihood LikelihoodOf(std::span<const float> nll) {
  const Estimate mean = MeanOf(nll);
  return {static_cast<int64_t>(nll.size()), mean, Exp(mean)};
}

Divergence DivergenceOf(const TokenScores& model, const TokenScores& reference) {
  const size_t tokens = model.nll.size();
  assert(reference.nll.size() == tokens && model.kl.size() == tokens &&
         model.same_top.size() == tokens);
  Divergence result;
  SummarizeKl(model.kl, &result);
  result.same_top =
      MeanOfEach(tokens, [&](size_t i) { return static_cast<double>(model.same_top[i]); });
  result.perplexity_ratio = Exp(MeanOfEach(tokens, [&](size_t i) {
    return static_cast<double>(model.nll[i]) - static_cast<double>(reference.nll[i]);
  }));
  const auto delta = [&](size_t i) {
    return Probability(model.nll[i]) - Probability(reference.nll[i]);
  };
  result.delta_p = MeanOfEach(tokens, delta);
  result.rms_delta_p =
      std::sqrt(MeanOfEach(tokens, [&](size_t i) { return delta(i) * delta(i); }).value);
  return result;
}

}  // namespace vernier::calib

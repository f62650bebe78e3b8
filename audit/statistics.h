// What an audit measures of the weights, by layer and role.
#ifndef VERNIER_AUDIT_STATISTICS_H_
#define VERNIER_AUDIT_STATISTICS_H_

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/logical_weight.h"

namespace vernier::audit {

// Difference between converted weights and their source, a against b.
struct ErrorStatistics {
  int64_t weights = 0;
  int64_t exact = 0;  // weights whose values are all equal
  int64_t values = 0;
  int64_t saturated = 0;      // source values beyond the largest that their NVFP4 block holds
  double squared_error = 0;   // sum (a - b)^2
  double squared_source = 0;  // sum b^2
  double max_abs_error = 0;

  void Merge(const ErrorStatistics& other);
  // Relative Frobenius error sqrt(squared_error / squared_source); 0 without error, infinite when
  // the source is all zero.
  double RelativeError() const;
  // 10 log10(squared_source / squared_error), infinite without error.
  double SqnrDb() const;
  double SaturatedShare() const;
};

// The E4M3 block scales of NVFP4 weights.
struct BlockStatistics {
  static constexpr int kExponents = 16;

  int64_t blocks = 0;
  // Blocks by their scale's exponent field e: scales in [2^(e-7), 2^(e-6)), subnormal ones at 0.
  std::array<int64_t, kExponents> by_exponent = {};
  int64_t at_maximum = 0;  // of scale 448
  // Blocks whose 16 values are all zero; counted only where the values are read.
  int64_t zero_blocks = 0;

  void Merge(const BlockStatistics& other);
};

// Five numbers of a sample; all 0 without one. Quantiles are values of the sample (nearest rank).
struct Distribution {
  int64_t count = 0;
  double min = 0;
  double lower_quartile = 0;
  double median = 0;
  double upper_quartile = 0;
  double max = 0;
};
Distribution DistributionOf(std::span<const float> values);

// The weights of one role in one layer.
struct CellStatistics {
  int layer = -1;  // -1: outside the layers; of Role::kMtp the MTP layer
  checkpoint::Role role = checkpoint::Role::kOther;
  int64_t weights = 0;
  std::map<checkpoint::Format, int64_t> formats;  // of these weights
  ErrorStatistics error;                          // of converted weights, when a source was given
  BlockStatistics blocks;
  // 2688 times the global scale and the input scale of every NVFP4 weight that has a usable one:
  // the amax they were made from, where the tool used the whole range.
  std::vector<float> weight_amax;
  std::vector<float> input_amax;
};

// A converted weight's error, for a list of the worst.
struct WeightError {
  std::string module;
  int layer = -1;
  checkpoint::Role role = checkpoint::Role::kOther;
  checkpoint::Format format = checkpoint::formats::kOpaque;
  ErrorStatistics error;
  int64_t zero_blocks = 0;
};

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_STATISTICS_H_

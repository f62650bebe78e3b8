// Which factors per channel to move from a linear layer's inputs into its weights.
#ifndef VERNIER_CALIB_FOLD_CHOICE_H_
#define VERNIER_CALIB_FOLD_CHOICE_H_

#include <ATen/ATen.h>

#include <array>
#include <functional>
#include <vector>

namespace vernier::calib {

// Powers of the channels' size that are tried; the first is no fold at all.
inline constexpr std::array kFoldExponents = {0.0, -0.3, -0.15, 0.15, 0.3, 0.45, 0.6};
// Factors are held within [1 / kLargestFoldFactor, kLargestFoldFactor]: a weight's largest value
// grows by no more, so that the scales of its other blocks stay far from E4M3's smallest.
inline constexpr double kLargestFoldFactor = 128;

// What is known of the inputs that consumers of a fold share, and of them.
struct FoldInputs {
  std::vector<double> mean_squares;  // [channels]: E[x^2]
  at::Tensor sample;                 // [R, K] F32, on any device: some of the inputs
  at::Tensor amax;                   // [K] F32, on the CPU: the largest of all inputs
  std::vector<at::Tensor> weights;   // [n, K] BF16 or F32, on the CPU: some rows of each consumer
  // The column's channel.
  std::function<int64_t(int64_t column)> channel_of;
  // Factors as the producer can store them; empty: any.
  std::function<void(std::vector<float>& scales)> store;
};

struct FoldChoice {
  double exponent = 0;
  std::vector<float> scales;  // [channels]; empty for exponent 0
  // Mean squares of the outputs' errors on the sample, with these factors and without.
  double error = 0, other_error = 0;
};

// The exponent a of the smallest error of the outputs of all consumers, inputs divided by
// s = (rms_c / geometric mean of all rms)^a and quantised to NVFP4 with the scale of their amax,
// weights multiplied by s and quantised by a search that weights errors by E[x^2] / s^2. Channels
// that are always 0 have s = 1. (After SmoothQuant, arXiv 2211.10438, and AWQ, 2306.00978.)
FoldChoice ChooseFold(const FoldInputs& inputs);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FOLD_CHOICE_H_

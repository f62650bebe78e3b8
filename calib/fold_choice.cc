#include "calib/fold_choice.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "calib/encoded_weight.h"
#include "calib/families/linear.h"
#include "calib/nvfp4_trial.h"
#include "calib/round_trip.h"
#include "quantizers/nvfp4.h"

namespace vernier::calib {
namespace {

double GeometricMeanRms(const std::vector<double>& mean_squares) {
  double logs = 0;
  int64_t counted = 0;
  for (const double mean_square : mean_squares) {
    if (mean_square <= 0) continue;
    logs += 0.5 * std::log(mean_square);
    ++counted;
  }
  return std::exp(logs / static_cast<double>(std::max<int64_t>(1, counted)));
}

std::vector<float> ScalesOf(const std::vector<double>& mean_squares, double exponent) {
  const double mean = GeometricMeanRms(mean_squares);
  std::vector<float> scales;
  for (const double mean_square : mean_squares) {
    const double scale = mean_square > 0 ? std::pow(std::sqrt(mean_square) / mean, exponent) : 1.0;
    scales.push_back(
        static_cast<float>(std::clamp(scale, 1 / kLargestFoldFactor, kLargestFoldFactor)));
  }
  return scales;
}

class Trial {
 public:
  explicit Trial(const FoldInputs& inputs) : inputs_(inputs) {
    for (const at::Tensor& weight : inputs.weights) {
      weights_.push_back(weight.to(inputs.sample.device(), at::kFloat));
      scaled_.push_back(at::empty_like(weights_.back()));
      outputs_.push_back(Outputs(inputs.sample, weights_.back()));
    }
  }

  // `scales` [channels]; empty: all 1.
  double ErrorWith(const std::vector<float>& scales) {
    const at::Tensor columns = ColumnsOf(scales);
    const at::Tensor x = QuantizedInputs(columns);
    const std::vector<double> mean_squares = MeanSquares(columns);
    double squares = 0;
    int64_t count = 0;
    for (size_t i = 0; i < weights_.size(); ++i) {
      at::mul_out(scaled_[i], weights_[i], columns.to(x.device()));
      const at::Tensor weight = RoundTripWeight(scaled_[i], mean_squares);
      const at::Tensor outputs = Outputs(x, weight);
      squares += SumOfSquares(outputs - outputs_[i]);
      count += outputs.numel();
    }
    return squares / static_cast<double>(std::max<int64_t>(1, count));
  }

 private:
  static at::Tensor Outputs(const at::Tensor& x, const at::Tensor& weight) {
    return LinearF32(x, weight);
  }

  // [K]
  at::Tensor ColumnsOf(const std::vector<float>& scales) const {
    const int64_t columns = inputs_.sample.size(1);
    at::Tensor factors = at::ones({columns}, at::kFloat);
    if (scales.empty()) return factors;
    auto* values = factors.data_ptr<float>();
    for (int64_t column = 0; column < columns; ++column) {
      values[column] = scales[static_cast<size_t>(inputs_.channel_of(column))];
    }
    return factors;
  }

  at::Tensor QuantizedInputs(const at::Tensor& columns) const {
    const float amax = (inputs_.amax / columns).max().item<float>();
    const at::Tensor x = inputs_.sample / columns.to(inputs_.sample.device());
    return RoundTripNvfp4(x, quantizers::Nvfp4GlobalScale(amax));
  }

  // Behind the factors.
  std::vector<double> MeanSquares(const at::Tensor& columns) const {
    const auto* factors = columns.data_ptr<float>();
    std::vector<double> squares;
    for (int64_t column = 0; column < columns.numel(); ++column) {
      const auto channel = static_cast<size_t>(inputs_.channel_of(column));
      const double factor = factors[column];
      squares.push_back(inputs_.mean_squares[channel] / (factor * factor));
    }
    return squares;
  }

  const FoldInputs& inputs_;
  std::vector<at::Tensor> weights_;  // F32, with the sample
  std::vector<at::Tensor> scaled_;   // room for the same with factors: new memory costs more
  std::vector<at::Tensor> outputs_;  // of the inputs and weights as they are
};

}  // namespace

FoldChoice ChooseFold(const FoldInputs& inputs) {
  Trial trial(inputs);
  FoldChoice best;
  for (const double exponent : kFoldExponents) {
    std::vector<float> scales;
    if (exponent != 0) scales = ScalesOf(inputs.mean_squares, exponent);
    if (exponent != 0 && inputs.store) inputs.store(scales);
    const double error = trial.ErrorWith(scales);
    if (exponent == 0) {
      best.error = best.other_error = error;
    } else if (error < best.error) {
      best.exponent = exponent;
      best.scales = std::move(scales);
      best.error = error;
    }
  }
  return best;
}

}  // namespace vernier::calib

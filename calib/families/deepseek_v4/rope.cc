#include "calib/families/deepseek_v4/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vernier::calib::deepseek_v4 {
namespace {

// The channel (of rd) whose wave turns `rotations` times within `positions`.
double ChannelOfRotations(double rotations, double theta, double positions, double rope_dim) {
  return rope_dim * std::log(positions / (rotations * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(theta));
}

// 1 where a frequency is interpolated (divided by the factor), 0 where it stays, a ramp between.
at::Tensor InterpolationShare(const checkpoint::YarnScaling& yarn, double theta, int64_t rope_dim) {
  const double positions = yarn.original_max_position_embeddings;
  const double dim = static_cast<double>(rope_dim);
  const double low =
      std::max(std::floor(ChannelOfRotations(yarn.beta_fast, theta, positions, dim)), 0.0);
  double high =
      std::min(std::ceil(ChannelOfRotations(yarn.beta_slow, theta, positions, dim)), dim - 1.0);
  if (high == low) high += 1e-3;  // a step instead of a division by zero
  return at::clamp((at::arange(rope_dim / 2, at::kFloat) - low) / (high - low), 0.0, 1.0);
}

}  // namespace

RopeTable RopeTable::Slice(int64_t begin, int64_t end, int64_t step) const {
  return {cos.slice(0, begin, end, step), sin.slice(0, begin, end, step)};
}

RopeTable RopeTable::Inverse() const { return {cos, -sin}; }

at::Tensor RopeFrequencies(const checkpoint::DeepseekV4Config& config, int64_t compress_ratio) {
  const int64_t rope_dim = config.qk_rope_head_dim;
  const double theta = compress_ratio == 0 ? config.rope_theta : config.compress_rope_theta;
  const at::Tensor exponents =
      at::arange(0, rope_dim, 2, at::kFloat) / static_cast<double>(rope_dim);
  const at::Tensor periods = at::pow(at::Scalar(theta), exponents);
  const at::Tensor plain = periods.reciprocal();
  if (compress_ratio == 0 || config.yarn.factor == 1.0) return plain;
  const at::Tensor interpolated = (periods * config.yarn.factor).reciprocal();
  const at::Tensor kept = 1.0 - InterpolationShare(config.yarn, theta, rope_dim);
  return interpolated * (1.0 - kept) + plain * kept;
}

RopeTable MakeRopeTable(const at::Tensor& frequencies, int64_t positions, at::Device device) {
  const at::Tensor position = at::arange(positions, at::TensorOptions(at::kFloat).device(device));
  const at::Tensor angles = position.unsqueeze(-1) * frequencies.to(device);
  return {angles.cos(), angles.sin()};
}

at::Tensor Rotate(const at::Tensor& x, const RopeTable& table, bool per_head) {
  const at::Tensor cos = per_head ? table.cos.unsqueeze(1) : table.cos;
  const at::Tensor sin = per_head ? table.sin.unsqueeze(1) : table.sin;
  const int64_t pairs = cos.size(-1);
  const int64_t fixed = x.size(-1) - 2 * pairs;
  const at::Tensor rotated_part = x.slice(-1, fixed).to(at::kFloat).unflatten(-1, {pairs, 2});
  const at::Tensor even = rotated_part.select(-1, 0);
  const at::Tensor odd = rotated_part.select(-1, 1);
  const at::Tensor rotated = at::stack({even * cos - odd * sin, odd * cos + even * sin}, -1);
  return at::cat({x.slice(-1, 0, fixed), rotated.flatten(-2).to(x.scalar_type())}, -1);
}

}  // namespace vernier::calib::deepseek_v4

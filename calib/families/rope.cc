#include "calib/families/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "calib/device_forward.h"
#include "calib/families/row_tiles.h"

namespace vernier::calib {
namespace {

using checkpoint::RopeConfig;
using checkpoint::RopeType;

// The channel (of rd) whose wave turns `rotations` times within the original positions.
double ChannelOfRotations(const RopeConfig& config, double rotations, double rope_dim) {
  return rope_dim * std::log(config.original_positions / (rotations * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(config.theta));
}

// 1 where a frequency is interpolated (divided by the factor), 0 where it stays, a ramp between.
at::Tensor YarnShare(const RopeConfig& config, int64_t rope_dim) {
  const double dim = static_cast<double>(rope_dim);
  double low = ChannelOfRotations(config, config.beta_fast, dim);
  double high = ChannelOfRotations(config, config.beta_slow, dim);
  if (config.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1.0);
  if (high == low) high += 1e-3;  // a step instead of a division by zero
  return at::clamp((at::arange(rope_dim / 2, at::kFloat) - low) / (high - low), 0.0, 1.0);
}

at::Tensor YarnFrequencies(const RopeConfig& config, const at::Tensor& periods, int64_t rope_dim) {
  const at::Tensor interpolated = (periods * config.factor).reciprocal();
  const at::Tensor kept = 1.0 - YarnShare(config, rope_dim);
  return interpolated * (1.0 - kept) + periods.reciprocal() * kept;
}

// Wavelengths above original_positions / low_freq_factor are stretched by the factor, those below
// original_positions / high_freq_factor stay, and between them the share grows with the frequency.
at::Tensor Llama3Frequencies(const RopeConfig& config, const at::Tensor& plain) {
  const at::Tensor rotations = config.original_positions / (2.0 * std::numbers::pi) * plain;
  const at::Tensor kept = at::clamp(
      (rotations - config.low_freq_factor) / (config.high_freq_factor - config.low_freq_factor),
      0.0, 1.0);
  return (1.0 - kept) * (plain / config.factor) + kept * plain;
}

at::Tensor LongFactors(const std::vector<double>& factors) {
  const auto count = static_cast<int64_t>(factors.size());
  const at::Tensor values = at::empty({count}, at::kDouble);
  std::ranges::copy(factors, values.data_ptr<double>());
  return values.to(at::kFloat);
}

}  // namespace

RopeTable RopeTable::Slice(int64_t begin, int64_t end, int64_t step) const {
  return {cos.slice(0, begin, end, step), sin.slice(0, begin, end, step)};
}

RopeTable RopeTable::Inverse() const { return {cos, -sin}; }

at::Tensor RopeFrequencies(const RopeConfig& config, int64_t rope_dim, bool far) {
  const at::Tensor exponents =
      at::arange(0, rope_dim, 2, at::kFloat) / static_cast<double>(rope_dim);
  const at::Tensor periods = at::pow(at::Scalar(config.theta), exponents);
  switch (config.type) {
    case RopeType::kDefault:
      break;
    case RopeType::kLinear:
      return periods.reciprocal() / config.factor;
    case RopeType::kLlama3:
      return Llama3Frequencies(config, periods.reciprocal());
    case RopeType::kYarn:
      return YarnFrequencies(config, periods, rope_dim);
    case RopeType::kLong:
      return (LongFactors(far ? config.long_factors : config.short_factors) * periods).reciprocal();
  }
  return periods.reciprocal();
}

RopeTable MakeRopeTable(const at::Tensor& frequencies, int64_t begin, int64_t end,
                        at::Device device, double factor) {
  const at::Tensor position = at::arange(begin, end, at::TensorOptions(at::kFloat).device(device));
  const at::Tensor angles = position.unsqueeze(-1) * frequencies.to(device);
  return {angles.cos() * factor, angles.sin() * factor};
}

namespace {

// Positions that are rotated together.
constexpr int64_t kRotatedPositions = 32;

// To `out`, which is like x: the channels from `begin` on.
void RotateTo(const at::Tensor& x, const RopeTable& table, bool per_head, RopePairs pairs,
              int64_t begin, const at::Tensor& out) {
  const at::Tensor cos = per_head ? table.cos.unsqueeze(1) : table.cos;
  const at::Tensor sin = per_head ? table.sin.unsqueeze(1) : table.sin;
  const int64_t count = cos.size(-1);
  const int64_t end = begin + 2 * count;
  const bool neighbours = pairs == RopePairs::kNeighbours;
  const int64_t axis = neighbours ? -1 : -2;
  // The first and the second of each pair.
  const auto half = [&](const at::Tensor& values, int64_t which) {
    return values.slice(-1, begin, end)
        .unflatten(-1, neighbours ? at::IntArrayRef{count, 2} : at::IntArrayRef{2, count})
        .select(axis, which);
  };
  const at::Tensor first = half(x, 0).to(at::kFloat), second = half(x, 1).to(at::kFloat);
  half(out, 0).copy_(first * cos - second * sin);
  half(out, 1).copy_(second * cos + first * sin);
  if (begin > 0) out.slice(-1, 0, begin).copy_(x.slice(-1, 0, begin));
  if (end < x.size(-1)) out.slice(-1, end).copy_(x.slice(-1, end));
}

}  // namespace

at::Tensor Rotate(const at::Tensor& x, const RopeTable& table, bool per_head, RopePairs pairs,
                  RopePlace place) {
  const int64_t axis = per_head ? -3 : -2;
  const int64_t first = place == RopePlace::kFirst ? 0 : x.size(-1) - 2 * table.cos.size(-1);
  if (const auto device = DeviceForward::For(x)) {
    return device->Rotate(x, table.cos, table.sin, per_head, pairs == RopePairs::kNeighbours,
                          first);
  }
  const at::Tensor out = at::empty(x.sizes(), x.options());
  const int64_t tile = x.is_cpu() ? kRotatedPositions : std::max<int64_t>(x.size(axis), 1);
  ForRowTiles(x.device(), x.size(axis), tile, [&](int64_t begin, int64_t end) {
    RotateTo(x.slice(axis, begin, end), table.Slice(begin, end), per_head, pairs, first,
             out.slice(axis, begin, end));
  });
  return out;
}

}  // namespace vernier::calib

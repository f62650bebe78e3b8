#include "calib/families/delta_net.h"

#include <algorithm>
#include <cmath>

#include "calib/budget/loop_constants.h"
#include "calib/families/delta_rule.h"
#include "calib/families/row_tiles.h"
#include "calib/families/swiglu.h"

namespace vernier::calib {
namespace {

using checkpoint::DecoderConfig;
using checkpoint::DecoderNames;

constexpr double kLengthEps = 1e-6;

std::vector<LinearLayer> LoadProjections(const TensorLoader& loader, const DecoderNames& names,
                                         const std::string& module, bool by_key_head) {
  const std::vector<std::string> fused = {names.in_qkvz, names.in_ba};
  const std::vector<std::string> single = {names.in_qkv, names.in_z, names.in_b, names.in_a};
  std::vector<LinearLayer> projections;
  for (const std::string& name : by_key_head ? fused : single) {
    projections.emplace_back(loader, module + "." + name);
  }
  return projections;
}

// Vectors of length 1.
at::Tensor UnitLength(const at::Tensor& x) {
  return x * at::rsqrt(x.square().sum(-1, /*keepdim=*/true) + kLengthEps);
}

// x normalised, times `weight` and silu(gate). F32.
at::Tensor GatedNorm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& gate,
                     double eps) {
  return (x * at::rsqrt(x.square().mean(-1, /*keepdim=*/true) + eps))
      .mul_(weight)
      .mul_(at::silu(gate.to(at::kFloat)));
}

}  // namespace

DeltaNet::DeltaNet(const TensorLoader& loader, const DecoderConfig& config, int64_t layer,
                   int64_t query_chunk)
    : config_(config.block(layer).attention.delta_net),
      shared_(config_.value_heads / config_.key_heads),
      chunk_(std::max(query_chunk / kDeltaChunk, int64_t{1}) * kDeltaChunk),
      norm_eps_(config.norm_eps),
      projections_(
          LoadProjections(loader, config.names, config.names.DeltaNet(layer), config_.by_key_head)),
      out_(loader, config.names.DeltaNet(layer) + "." + config.names.out) {
  const std::string prefix = config.names.DeltaNet(layer) + ".";
  convolution_ = loader.LoadExact(prefix + config.names.convolution + ".weight").squeeze(1);
  decay_rates_ = -loader.LoadExact(prefix + config.names.decay).exp();
  step_bias_ = loader.LoadExact(prefix + config.names.step_bias);
  norm_ = loader.LoadExact(prefix + config.names.gated_norm + ".weight");
}

at::Tensor DeltaNet::Forward(const at::Tensor& x, const TokenBatch& batch, KeyValues& past,
                             Tap& tap) const {
  std::vector<at::Tensor> inputs;
  for (const LinearLayer& layer : projections_) inputs.push_back(layer.TakeInput(x, batch, tap));
  return InChunks(x.size(1), chunk_, [&](int64_t begin, int64_t end) {
    std::vector<at::Tensor> chunk;
    for (const at::Tensor& input : inputs) chunk.push_back(input.slice(1, begin, end));
    return out_.Run(Mix(Project(chunk), past.recurrent()), batch.Positions(begin, end), tap);
  });
}

DeltaNet::Projected DeltaNet::Project(const std::vector<at::Tensor>& inputs) const {
  const auto apply = [&](size_t i) { return projections_[i].Apply(inputs[i]); };
  if (config_.by_key_head) return SplitByKeyHead(apply(0), apply(1));
  return {.mixed = apply(0), .gate = apply(1), .rate = apply(2), .step = apply(3)};
}

DeltaNet::Projected DeltaNet::SplitByKeyHead(const at::Tensor& qkvz, const at::Tensor& ba) const {
  const int64_t keys = config_.key_head_dim, values = shared_ * config_.value_head_dim;
  const auto split = [&](const at::Tensor& rows, at::IntArrayRef sizes) {
    std::vector<at::Tensor> parts =
        rows.unflatten(-1, {config_.key_heads, -1}).split_with_sizes(sizes, -1);
    for (at::Tensor& part : parts) part = part.flatten(2);
    return parts;
  };
  const std::vector<at::Tensor> wide = split(qkvz, {keys, keys, values, values});
  const std::vector<at::Tensor> narrow = split(ba, {shared_, shared_});
  return {.mixed = at::cat({wide[0], wide[1], wide[2]}, -1),
          .gate = wide[3],
          .rate = narrow[0],
          .step = narrow[1]};
}

at::Tensor DeltaNet::Convolve(const at::Tensor& inputs, const Part& part, int64_t begin,
                              int64_t size) const {
  const int64_t first = begin + part.head * size, channels = part.heads * size;
  const int64_t positions = inputs.size(1) - config_.kernel + 1;
  const at::Tensor x =
      inputs.narrow(0, part.sequence, part.sequences).narrow(-1, first, channels).to(at::kFloat);
  const at::Tensor weights = convolution_.narrow(0, first, channels);
  at::Tensor sum = x.narrow(1, 0, positions) * weights.select(1, 0);
  for (int64_t i = 1; i < config_.kernel; ++i) {
    sum.addcmul_(x.narrow(1, i, positions), weights.select(1, i));
  }
  return at::silu_(sum).unflatten(-1, {part.heads, size}).transpose(1, 2).flatten(0, 1);
}

at::Tensor DeltaNet::Mix(const Projected& projected, RecurrentState& past) const {
  const int64_t sequences = projected.mixed.size(0), positions = projected.mixed.size(1);
  if (!past.state.defined()) past = Begin(projected.mixed);
  const Mixing mixing = {.inputs = at::cat({past.inputs, projected.mixed}, 1),
                         .steps = projected.step,
                         .rates = projected.rate,
                         .gate = projected.gate,
                         .state = past.state,
                         .out = at::empty(projected.gate.sizes(), projected.gate.options())};
  past.inputs = mixing.inputs.slice(1, positions).clone();
  // On a CPU a key head of one sequence is a tile; elsewhere all heads of some sequences are.
  const bool on_cpu = mixing.out.is_cpu();
  const int64_t heads = on_cpu ? 1 : config_.key_heads, tile = on_cpu ? 1 : kLeastEqualBatch;
  const int64_t parts = config_.key_heads / heads;
  ForRowTiles(mixing.out.device(), sequences * parts, tile, [&](int64_t begin, int64_t end) {
    MixPart(mixing, {.sequence = begin / parts,
                     .sequences = end - begin,
                     .head = begin % parts * heads,
                     .heads = heads});
  });
  return mixing.out;
}

RecurrentState DeltaNet::Begin(const at::Tensor& mixed) const {
  const at::TensorOptions options = mixed.options();
  return {.inputs = at::zeros({mixed.size(0), config_.kernel - 1, mixed.size(2)}, options),
          .state = at::zeros({mixed.size(0), config_.key_heads, shared_, config_.key_head_dim,
                              config_.value_head_dim},
                             options.dtype(at::kFloat))};
}

at::Tensor DeltaNet::LogDecay(const at::Tensor& steps, const Part& part) const {
  const auto of_part = [&](const at::Tensor& x) {
    return x.narrow(0, part.head * shared_, part.heads * shared_)
        .view({1, part.heads, shared_, 1})
        .expand({part.sequences, -1, -1, -1})
        .flatten(0, 1);
  };
  return at::softplus(steps.to(at::kFloat) + of_part(step_bias_)) * of_part(decay_rates_);
}

void DeltaNet::MixPart(const Mixing& mixing, const Part& part) const {
  const int64_t keys = config_.key_head_dim, values = config_.value_head_dim;
  // Of [B, C, n r d]: the part's [B, C, n, r, d], and N = B n key heads [N, r, C].
  const auto of_part = [&](const at::Tensor& x) {
    const int64_t size = x.size(-1) / config_.key_heads;
    return x.narrow(0, part.sequence, part.sequences)
        .narrow(-1, part.head * size, part.heads * size)
        .unflatten(-1, {part.heads, shared_, -1});
  };
  const auto of_heads = [&](const at::Tensor& x) {
    return of_part(x).squeeze(-1).permute({0, 2, 3, 1}).flatten(0, 1);
  };
  const auto convolved = [&](int64_t begin, int64_t size) {
    return Convolve(mixing.inputs, part, begin, size);
  };
  const at::Tensor states =
      mixing.state.narrow(0, part.sequence, part.sequences).narrow(1, part.head, part.heads);
  at::Tensor state = states.flatten(0, 1);
  const at::Tensor read = RunDeltaRule(
      {.queries = UnitLength(convolved(0, keys)).mul_(1.0 / std::sqrt(static_cast<double>(keys))),
       .keys = UnitLength(convolved(config_.key_width(), keys)),
       .values = convolved(2 * config_.key_width(), shared_ * values)
                     .unflatten(-1, {shared_, values})
                     .transpose(1, 2),
       .log_decay = LogDecay(of_heads(mixing.steps), part),
       .rates = SigmoidF32(of_heads(mixing.rates))},
      state);
  states.copy_(state.view(states.sizes()));
  const at::Tensor rows = read.unflatten(0, {part.sequences, part.heads}).permute({0, 3, 1, 2, 4});
  of_part(mixing.out).copy_(GatedNorm(rows, norm_, of_part(mixing.gate), norm_eps_));
}

}  // namespace vernier::calib

#include "audit/cells.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "audit/byte_scan.h"
#include "quantizers/float_formats.h"

namespace vernier::audit {
namespace {

// ModelOpt's scale is amax / (6 * 448) (nvfp4_tensor.py), and compressed-tensors' its reciprocal.
constexpr float kScaleRange = quantizers::kE2m1Max * quantizers::kE4m3Max;

std::optional<float> Multiplier(const Subject& subject, const Module& module, size_t tensor,
                                const std::optional<float>& stored) {
  const bool usable = module.format == formats::kNvfp4 && stored && IsUsableScale(*stored);
  if (!usable) return std::nullopt;
  const bool divides = subject.Info(tensor).name.ends_with("_global_scale");
  const float multiplier = divides ? 1.0f / *stored : *stored;
  return IsUsableScale(multiplier) ? std::optional(multiplier) : std::nullopt;
}

void AddModule(const Subject& subject, const Module& module, const ModuleScalars& scalars,
               const ModuleFacts& facts, CellStatistics* cell) {
  ++cell->weights;
  ++cell->formats[module.format];
  cell->blocks.Merge(facts.scales.blocks);
  if (facts.source) cell->error.Merge(facts.source->error);
  if (const auto scale = WeightMultiplier(subject, module, scalars)) {
    cell->weight_amax.push_back(kScaleRange * *scale);
  }
  if (const auto scale = InputMultiplier(subject, module, scalars)) {
    cell->input_amax.push_back(kScaleRange * *scale);
  }
}

}  // namespace

std::optional<float> WeightMultiplier(const Subject& subject, const Module& module,
                                      const ModuleScalars& scalars) {
  return Multiplier(subject, module, module.global_scale, scalars.global_scale);
}

std::optional<float> InputMultiplier(const Subject& subject, const Module& module,
                                     const ModuleScalars& scalars) {
  return Multiplier(subject, module, module.input_scale, scalars.input_scale);
}

std::vector<CellStatistics> CellsOf(const Subject& subject, std::span<const ModuleScalars> scalars,
                                    std::span<const ModuleFacts> facts) {
  std::map<std::pair<int, checkpoint::Role>, CellStatistics> cells;
  for (size_t i = 0; i < facts.size(); ++i) {
    const Module& module = subject.index.modules[i];
    if (module.weight == kAbsent) continue;
    const std::pair place = {module.meaning.layer, module.meaning.role};
    CellStatistics& cell = cells[place];
    std::tie(cell.layer, cell.role) = place;
    AddModule(subject, module, scalars[i], facts[i], &cell);
  }
  std::vector<CellStatistics> result;
  for (auto& [place, cell] : cells) result.push_back(std::move(cell));
  return result;
}

std::vector<WeightError> WorstWeights(const Subject& subject, std::span<const ModuleFacts> facts,
                                      size_t count) {
  std::vector<std::pair<double, size_t>> order;  // by error, negated, then module
  for (size_t i = 0; i < facts.size(); ++i) {
    if (!facts[i].source) continue;
    const double error = facts[i].source->error.RelativeError();
    if (error > 0) order.emplace_back(-error, i);
  }
  const size_t shown = std::min(count, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(shown), order.end());
  std::vector<WeightError> worst;
  for (size_t k = 0; k < shown; ++k) {
    const size_t i = order[k].second;
    const Module& module = subject.index.modules[i];
    worst.push_back({.module = module.name,
                     .layer = module.meaning.layer,
                     .role = module.meaning.role,
                     .format = module.format,
                     .error = facts[i].source->error,
                     .zero_blocks = facts[i].scales.blocks.zero_blocks});
  }
  return worst;
}

}  // namespace vernier::audit

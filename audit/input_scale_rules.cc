// Input scales of routed experts against those of their neighbours.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "audit/cells.h"
#include "audit/rules.h"

namespace vernier::audit {
namespace {

constexpr Defect kOutlier = {
    "S01", Severity::kWarning, "an expert's input scale is far from the others of its layer",
    "Calibrate with more or other samples: some kernels give all experts the largest scale"};
constexpr Defect kUncalibrated = {
    "S02", Severity::kInfo, "experts were calibrated on no token: their input scale is a stand-in",
    "Calibrate with more samples, or with samples that reach these experts"};
constexpr Defect kSharedMaximum = {
    "S02", Severity::kInfo,
    "experts have bit for bit the largest input scale of their layer: probably a stand-in",
    "Calibrate with more samples, or with samples that reach these experts"};

// Kernels that quantise the inputs of all experts before they are dispatched (vLLM's FlashInfer
// backends) use the largest scale for all. A block's E4M3 scale then shrinks by the quotient of the
// scales: at 16 an expert's largest block gets 28 in place of 448, and 1/1792 of its largest
// magnitude is the least that a normal block scale (2^-6) reaches, in place of 1/28672. A scale
// that is 16 times the median costs this most of the layer's experts.
constexpr float kLargestQuotient = 16.0f;
// One that is far below the median is itself what loses: at 64, blocks below 1/448 of its largest.
constexpr float kSmallestQuotient = 1.0f / 64.0f;

// Fewer experts of one scale may be a coincidence of equal inputs.
constexpr size_t kFewestSharing = 3;

struct ExpertScale {
  const Module* module;
  float scale;
};

// By layer and projection, in the order of modules. MTP layers stand alone.
using Projections = std::map<std::pair<int, std::string>, std::vector<ExpertScale>>;

Projections GroupScales(const Subject& subject, std::span<const ModuleScalars> scalars) {
  Projections projections;
  for (size_t i = 0; i < scalars.size(); ++i) {
    const Module& module = subject.index.modules[i];
    if (!module.IsMainExpert() || module.meaning.expert < 0) continue;
    const std::optional<float> scale = InputMultiplier(subject, module, scalars[i]);
    if (!scale) continue;
    const std::string projection = module.name.substr(module.name.rfind('.') + 1);
    projections[{module.meaning.layer, projection}].push_back({&module, *scale});
  }
  return projections;
}

float MedianScale(const std::vector<ExpertScale>& experts) {
  std::vector<float> scales;
  for (const ExpertScale& expert : experts) scales.push_back(expert.scale);
  return static_cast<float>(DistributionOf(scales).median);
}

void FindOutliers(const std::vector<ExpertScale>& experts, FindingList* findings) {
  const float median = MedianScale(experts);
  for (const ExpertScale& expert : experts) {
    const float quotient = expert.scale / median;
    if (quotient <= kLargestQuotient && quotient >= kSmallestQuotient) continue;
    findings->Add(kOutlier, fmt::format("{} (input scale {:.3g}, {:.3g} times the median {:.3g})",
                                        expert.module->name, expert.scale, quotient, median));
  }
}

void FindShared(const std::vector<ExpertScale>& experts, FindingList* findings) {
  const auto largest = std::max_element(
      experts.begin(), experts.end(),
      [](const ExpertScale& a, const ExpertScale& b) { return a.scale < b.scale; });
  const auto sharing = static_cast<size_t>(
      std::count_if(experts.begin(), experts.end(),
                    [&](const ExpertScale& expert) { return expert.scale == largest->scale; }));
  // One scale for all is a choice.
  if (sharing < kFewestSharing || sharing == experts.size()) return;
  findings->Add(kSharedMaximum,
                fmt::format("{} ({} of {} experts with {:.3g})", largest->module->name, sharing,
                            experts.size(), largest->scale));
}

void FindUncalibrated(const std::vector<ExpertScale>& experts, const ManifestFacts& manifest,
                      FindingList* findings) {
  for (const ExpertScale& expert : experts) {
    const auto tokens = manifest.tokens.find(expert.module->name);
    if (tokens == manifest.tokens.end() || tokens->second > 0) continue;
    findings->Add(kUncalibrated, fmt::format("{} (0 tokens, input scale {:.3g})",
                                             expert.module->name, expert.scale));
  }
}

}  // namespace

void CheckInputScales(const Subject& subject, std::span<const ModuleScalars> scalars,
                      const ManifestFacts& manifest, FindingList* findings) {
  for (const auto& [place, experts] : GroupScales(subject, scalars)) {
    FindOutliers(experts, findings);
    if (manifest.present) {
      FindUncalibrated(experts, manifest, findings);
    } else {
      FindShared(experts, findings);
    }
  }
}

}  // namespace vernier::audit

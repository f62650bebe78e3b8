// What the blocks of NVFP4 weights lost.
#include <fmt/format.h>

#include <cstdint>

#include "audit/rules.h"

namespace vernier::audit {
namespace {

constexpr Defect kClipped = {
    "S03", Severity::kWarning, "an NVFP4 weight holds less than the range of its source",
    "Export it with a global scale of amax / 2688 in F32, of all weights that share it"};
constexpr Defect kManyAtMaximum = {
    "S03", Severity::kWarning,
    "unusually many blocks of an NVFP4 weight have the scale 448: it was probably clipped",
    "Audit with --source; export it with a global scale of amax / 2688 in F32"};
constexpr Defect kZeroBlocks = {
    "S04", Severity::kWarning, "blocks of an NVFP4 weight became zero that are not in the source",
    "Export it with a smaller global scale, or leave it in its source format"};

// With a global scale of amax / 2688 the tensor's largest value is the largest that its block
// holds, and rounding that scale in F32 can clip no more than values equal to it. A share of the
// values beyond that, and more of them than a few, shows another scale: rounded down to BF16, or of
// a part of the weights that share it.
constexpr double kClippedShare = 1e-4;
constexpr int64_t kFewClipped = 16;

// Without the source: of normally distributed weights a block's largest value comes within 1/28 of
// the tensor's largest (and rounds to 448) once in thousands of blocks; of evenly distributed ones
// in 1 - (27/28)^16 = 44 % of them. More is only seen where what lies beyond 448 is cut off there.
constexpr double kShareAtMaximum = 0.5;
constexpr int64_t kEnoughBlocks = 256;

// E4M3 reaches 2^18 below its largest number, so that only blocks 2^18 below the weight's largest
// value vanish. Nothing but a few outliers makes that one block in a thousand.
constexpr double kLostShare = 1e-3;

double Share(int64_t part, int64_t all) {
  return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
}

void CheckClipped(const Module& module, const SourceFacts& source, FindingList* findings) {
  const double share = Share(source.clipped, source.error.values);
  if (source.clipped <= kFewClipped || share <= kClippedShare) return;
  findings->Add(kClipped,
                fmt::format("{} ({:.3g} % of its values are clipped, {:.3g} % saturate)",
                            module.name, 100 * share, 100 * source.error.SaturatedShare()));
}

void CheckMaximum(const Module& module, const BlockStatistics& blocks, FindingList* findings) {
  const double share = Share(blocks.at_maximum, blocks.blocks);
  if (blocks.blocks < kEnoughBlocks || share <= kShareAtMaximum) return;
  findings->Add(kManyAtMaximum,
                fmt::format("{} ({:.3g} % of its blocks)", module.name, 100 * share));
}

void CheckLost(const Module& module, const ModuleFacts& facts, FindingList* findings) {
  const BlockStatistics& blocks = facts.scales.blocks;
  const int64_t lost = blocks.zero_blocks - facts.source->source_zero_blocks;
  if (Share(lost, blocks.blocks) <= kLostShare) return;
  findings->Add(kZeroBlocks,
                fmt::format("{} ({} of {} blocks are zero, {} of the source's)", module.name,
                            blocks.zero_blocks, blocks.blocks, facts.source->source_zero_blocks));
}

}  // namespace

void CheckBlocks(const Subject& subject, std::span<const ModuleFacts> facts,
                 FindingList* findings) {
  for (size_t i = 0; i < facts.size(); ++i) {
    const Module& module = subject.index.modules[i];
    if (module.format != formats::kNvfp4) continue;
    if (!facts[i].source) {
      CheckMaximum(module, facts[i].scales.blocks, findings);
    } else if (facts[i].source->failure.empty()) {
      CheckClipped(module, *facts[i].source, findings);
      CheckLost(module, facts[i], findings);
    }
  }
}

}  // namespace vernier::audit

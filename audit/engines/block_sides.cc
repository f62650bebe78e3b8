#include "audit/engines/block_sides.h"

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <string_view>

#include "audit/engines/weight_blocks.h"

namespace vernier::audit {
namespace {

std::string OddSide(const Module& member, int64_t count, std::string_view side, int64_t block) {
  if (count % block == 0) return {};
  return fmt::format("{} has {} {}, which blocks of {} do not divide", member.name, count, side,
                     block);
}

// Of an expert's gate and up projections, and of a fused matrix's members but the last.
bool EndsAtBlock(const RuntimeModule& module, size_t member) {
  if (module.kind == ModuleKind::kExperts) {
    return !module.members[member]->meaning.fused_group.empty();
  }
  return module.is_fused() && member + 1 < module.members.size();
}

}  // namespace

std::string OddBlockSides(Engine engine, const Subject& subject, const RuntimeModule& module) {
  if (engine == Engine::kTensorRtLlm || subject.IsDeepseekV4()) return {};
  if (module.Stored() != formats::kFp8Block) return {};
  const bool modelopt = subject.dialect == QuantDialect::kModelopt;
  for (size_t i = 0; i < module.members.size(); ++i) {
    const Module& member = *module.members[i];
    const std::optional<WeightBlocks> blocks = BlocksOf(subject, member);
    if (!blocks) continue;
    std::string odd;
    if (EndsAtBlock(module, i)) odd = OddSide(member, blocks->rows, "rows", blocks->block_rows);
    if (odd.empty() && modelopt) {
      odd = OddSide(member, blocks->columns, "columns", blocks->block_columns);
    }
    if (!odd.empty()) return odd;
  }
  return {};
}

}  // namespace vernier::audit

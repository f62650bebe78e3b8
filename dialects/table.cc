// The table of dialects: a dialect is its file, and its row here.
#include <algorithm>
#include <array>
#include <cassert>

#include "dialects/dialect.h"

namespace vernier::dialects {

std::span<const Dialect* const> Dialects() {
  static constexpr auto kDialects =
      std::to_array<const Dialect*>({&kModelopt, &kCompressedTensors, &kGguf, &kNative});
  return kDialects;
}

const Dialect& DialectOf(const checkpoint::SourceModel& source,
                         const checkpoint::LogicalWeight& quantised) {
  const std::span<const Dialect* const> dialects = Dialects();
  const auto found = std::ranges::find_if(
      dialects, [&](const Dialect* dialect) { return dialect->names(source, quantised); });
  assert(found != dialects.end());
  return **found;
}

}  // namespace vernier::dialects

#include "calib/eval/result.h"

#include <algorithm>
#include <array>

namespace vernier::calib {
namespace {

constexpr std::array<std::string_view, 3> kVariantNames = {"reference", "weights",
                                                           "weights+activations"};

}  // namespace

std::string_view EvalVariantName(EvalVariant variant) {
  return kVariantNames.at(static_cast<size_t>(variant));
}

std::optional<EvalVariant> EvalVariantFromName(std::string_view name) {
  const auto found = std::ranges::find(kVariantNames, name);
  if (found == kVariantNames.end()) return std::nullopt;
  return static_cast<EvalVariant>(found - kVariantNames.begin());
}

}  // namespace vernier::calib

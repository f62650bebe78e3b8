// Facts of each target format that rules, plans and configs need.
#ifndef VERNIER_RECIPES_TARGET_FORMAT_H_
#define VERNIER_RECIPES_TARGET_FORMAT_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "checkpoint/logical_weight.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

std::string_view TargetFormatName(TargetFormat format);  // "nvfp4"
std::string_view ScaleMethodName(ScaleMethod method);    // "four_over_six"
// "nvfp4 (mse)"; the format alone where there is no choice of methods.
std::string TargetText(TargetFormat format, ScaleMethod method);

// Whether weights of this format have scales: all but kKeep and kBf16.
bool IsQuantised(TargetFormat format);
// Whether a source weight has scales; tables and what is not understood do not count.
bool IsQuantised(const checkpoint::LogicalWeight& weight);

// The methods that a rule of this format may ask for; none for kKeep and kBf16.
std::span<const ScaleMethod> ScaleMethodsOf(TargetFormat format);
bool HasScaleMethod(TargetFormat format, ScaleMethod method);

// Whether engines want a static scale for the weight's inputs.
bool HasInputScale(TargetFormat format);
// Whether a scale depends on the whole weight, so that it must be read before the first code.
bool HasWholeWeightScale(TargetFormat format);

// Columns that share a scale and that a row must be a multiple of; 1 where any number will do
// (FP8 blocks may be partial at the edges).
int64_t BlockColumns(TargetFormat format);

// The target format that a source weight has already; nothing for one without scales, or in a
// format that is read and not written.
std::optional<TargetFormat> FormatOf(const checkpoint::LogicalWeight& weight);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_TARGET_FORMAT_H_

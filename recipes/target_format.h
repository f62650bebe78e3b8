// What a plan makes of a weight: a format that is written, or none.
#ifndef VERNIER_RECIPES_TARGET_FORMAT_H_
#define VERNIER_RECIPES_TARGET_FORMAT_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "checkpoint/formats/codec.h"
#include "checkpoint/logical_weight.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

std::string_view TargetFormatName(Format format);      // "nvfp4", "keep"
std::string_view ScaleMethodName(ScaleMethod method);  // "four_over_six"
// "nvfp4 (mse)"; the format alone where there is no choice of methods.
std::string TargetText(Format format, ScaleMethod method);

// Whether a source weight has scales; tables and what is not understood do not count.
bool IsQuantised(const checkpoint::LogicalWeight& weight);
using checkpoint::IsQuantised;  // of a target: all but kKeep and kBf16

// The methods that a rule of this format may ask for; none for kKeep and kBf16.
std::span<const ScaleMethod> ScaleMethodsOf(Format format);
bool HasScaleMethod(Format format, ScaleMethod method);

// Whether engines want a static scale for the weight's inputs.
bool HasInputScale(Format format);

// Columns that share a scale and that a row must be a multiple of; 1 where any number will do
// (FP8 blocks may be partial at the edges).
int64_t BlockColumns(Format format);

// The format that a source weight has already and could be written in; none for one without scales,
// or in a format that is read and not written.
Format FormatOf(const checkpoint::LogicalWeight& weight);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_TARGET_FORMAT_H_

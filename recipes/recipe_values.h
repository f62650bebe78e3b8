// Names and texts of values, shared by recipes and the command line.
#ifndef VERNIER_RECIPES_RECIPE_VALUES_H_
#define VERNIER_RECIPES_RECIPE_VALUES_H_

#include <array>
#include <cassert>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/memory_bound.h"
#include "datasets/evaluation_set.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

template <typename T>
struct ValueName {
  std::string_view name;
  T value;
};

inline constexpr std::array<ValueName<datasets::SourceFormat>, 4> kSourceFormats = {{
    {"auto", datasets::SourceFormat::kAuto},
    {"jsonl", datasets::SourceFormat::kJsonl},
    {"text", datasets::SourceFormat::kText},
    {"parquet", datasets::SourceFormat::kParquet},
}};
inline constexpr std::array<ValueName<datasets::Packing>, 2> kPackings = {{
    {"pack", datasets::Packing::kPack},
    {"truncate", datasets::Packing::kTruncate},
}};
inline constexpr std::array<ValueName<datasets::ChatFormat>, 5> kChatFormats = {{
    {"auto", datasets::ChatFormat::kAuto},
    {"template", datasets::ChatFormat::kTemplate},
    {"plain", datasets::ChatFormat::kPlain},
    {"deepseek", datasets::ChatFormat::kDeepSeek},
    {"chatml", datasets::ChatFormat::kChatMl},
}};
inline constexpr std::array<ValueName<ComputeDtype>, 2> kComputeDtypes = {{
    {"bfloat16", ComputeDtype::kBFloat16},
    {"float32", ComputeDtype::kFloat32},
}};
inline constexpr std::array<ValueName<CpuProducts>, 3> kCpuProducts = {{
    {"f32", CpuProducts::kF32},
    {"bf16", CpuProducts::kBf16},
    {"auto", CpuProducts::kAuto},
}};
// "keep", and the formats that are written.
const std::vector<ValueName<Format>>& FormatNames();
inline constexpr std::array<ValueName<ScaleMethod>, 7> kScaleMethods = {{
    {"auto", ScaleMethod::kAuto},
    {"max", ScaleMethod::kMax},
    {"lossless", ScaleMethod::kLossless},
    {"four_over_six", ScaleMethod::kFourOverSix},
    {"mse", ScaleMethod::kMse},
    {"local_hessian", ScaleMethod::kLocalHessian},
    {"gptq", ScaleMethod::kGptq},
}};
inline constexpr std::array<ValueName<Effort>, 3> kEfforts = {{
    {"fast", Effort::kFast},
    {"balanced", Effort::kBalanced},
    {"best", Effort::kBest},
}};
inline constexpr std::array<ValueName<Smooth>, 3> kSmooth = {{
    {"effort", Smooth::kEffort},
    {"none", Smooth::kNone},
    {"auto", Smooth::kAuto},
}};
inline constexpr std::array<ValueName<Propagate>, 3> kPropagate = {{
    {"effort", Propagate::kEffort},
    {"none", Propagate::kNone},
    {"quantised", Propagate::kQuantised},
}};
// Those that a recipe may ask for.
const std::vector<ValueName<Dialect>>& DialectNames();
inline constexpr std::array<ValueName<KvCache>, 5> kKvCaches = {{
    {"none", KvCache::kNone},
    {"fp8", KvCache::kFp8},
    {"fp8_cast", KvCache::kFp8Cast},
    {"nvfp4", KvCache::kNvfp4},
    {"nvfp4_cast", KvCache::kNvfp4Cast},
}};
inline constexpr std::array<ValueName<datasets::WindowBos>, 3> kWindowBos = {{
    {"auto", datasets::WindowBos::kAuto},
    {"yes", datasets::WindowBos::kYes},
    {"no", datasets::WindowBos::kNo},
}};
inline constexpr std::array<ValueName<NonFinite>, 2> kNonFinite = {{
    {"stop", NonFinite::kStop},
    {"clamp", NonFinite::kClamp},
}};

// Of rows of ValueName<T>.
template <typename Names>
using ValueIn = std::remove_cvref_t<decltype(std::declval<const Names&>().begin()->value)>;

// `name` is one of the names: the schema says so.
template <typename Names>
ValueIn<Names> ValueOf(const Names& names, std::string_view name) {
  for (const auto& row : names) {
    if (row.name == name) return row.value;
  }
  assert(false && "the schema lists a name that the parser lacks");
  return names.front().value;
}

template <typename Names>
std::string_view NameOf(const Names& names, ValueIn<Names> value) {
  for (const auto& row : names) {
    if (row.value == value) return row.name;
  }
  assert(false && "a value without a name");
  return {};
}

// Where a value came from, for the messages of the checks below.
struct ValueSource {
  ErrorCode code;       // kBadRecipe or kBadArgument
  std::string subject;  // "recipe.json: /compute/device" or "--device"
};

// Bytes of a size such as "8GiB".
uint64_t ParseSize(std::string_view text, const ValueSource& source);

// Those, or a share of what is free such as "70%".
MemoryBound ParseMemory(std::string_view text, const ValueSource& source);

// "5.0" (bits a weight, at most 32), or a size with its unit such as "24GiB".
SizeBudget ParseSizeBudget(std::string_view text, const ValueSource& source);

// `text` itself when it is "cpu", "cuda" or "cuda:N".
std::string ParseDevice(std::string_view text, const ValueSource& source);

// The method itself, unless rules of `format` have no such method.
ScaleMethod ParseScaleMethod(Format format, ScaleMethod method, const ValueSource& source);

// `value` itself when it is a scale that F32, its reciprocal and BF16 hold: 1e-20 to 1e20.
float ParseInputScale(double value, const ValueSource& source);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_RECIPE_VALUES_H_

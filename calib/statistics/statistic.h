// What a statistic is: how it observes, merges, serialises and compares. One is a class of static
// members in a file of its own (input_amax.h shows it), which the concept IsStatistic describes;
// `Statistic` is the half without tensors of any of them, as data.
#ifndef VERNIER_CALIB_STATISTICS_STATISTIC_H_
#define VERNIER_CALIB_STATISTICS_STATISTIC_H_

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "calib/statistics/value.h"

namespace vernier::statistics {

// Where a statistic is observed.
enum class Site {
  kLinearInput,  // what a linear layer is about to see
  kCache,        // what attention caches
  kBlock,        // hidden states before and behind attention or an FFN
};

// How the rows [rows, K] come to a statistic's Observe.
enum class Precision {
  kCompute,  // in the dtype that the model computes in
  kF32,      // widened
};

// What a statistic is kept for: of a linear layer whose format has no use of it, it is not.
enum class Purpose {
  kAny,           // scales of inputs and caches, and whatever else
  kMse,           // squared errors weighted by input channel
  kLocalHessian,  // errors of blocks weighted by their local Hessians
  kFold,          // scales of inputs behind a fold
  // What is gone when calibration has made use of it:
  kSample,  // of weights that it solves itself, and of folds
  kGptq,    // of weights that it solves itself
};

// Element types of payloads.
enum class ElementType { kF32, kF64, kI64 };
template <class Element>
inline constexpr ElementType kElementType = std::same_as<Element, float>    ? ElementType::kF32
                                            : std::same_as<Element, double> ? ElementType::kF64
                                                                            : ElementType::kI64;

// Whether a statistic is gone when calibration has made use of it, and no finished layer has it.
constexpr bool IsTransient(Purpose purpose) {
  return purpose == Purpose::kSample || purpose == Purpose::kGptq;
}

// A statistic may have
//   static constexpr Purpose kPurpose;
// and is for kAny without. Whether one is a sum over rows: it has kIsSum, a purpose, and then
// further
//   static constexpr size_t Elements(size_t columns);
//     How many it has of inputs [rows, columns]; 0 where it is of no inputs of that width.
template <class S>
inline constexpr bool kIsSum = requires {
  requires S::kIsSum;
};

template <class S>
concept IsStatistic = requires(Observed<typename S::Element>& into,
                               const Observed<typename S::Element>& value, size_t elements) {
  requires std::same_as<typename S::Element, float> || std::same_as<typename S::Element, double> ||
      std::same_as<typename S::Element, int64_t>;
  // Its name in stores and files, and the version of what its payload means.
  { S::kName } -> std::convertible_to<std::string_view>;
  { S::kVersion } -> std::convertible_to<int>;
  { S::kSite } -> std::convertible_to<Site>;
  // What a dump in safetensors calls its tensors, behind the module's name.
  { S::kTensor } -> std::convertible_to<std::string_view>;
  { S::kTokens } -> std::convertible_to<std::string_view>;
  // The shape of a payload of `elements`; nothing when there is no such payload.
  { S::Shape(elements) } -> std::same_as<std::optional<std::vector<int64_t>>>;
  // The elements of a value over no rows: none, unless the statistic has a number for it.
  { S::Nothing() } -> std::same_as<std::vector<typename S::Element>>;
  // Takes in the elements of another value of the same size; the caller adds the tokens. The order
  // of values may change the last bits at most.
  { S::Merge(into, value) } -> std::same_as<void>;
  // How far two values of one size are apart: 0 equal, 1 as far as can be.
  { S::Change(value, value) } -> std::same_as<double>;
  // For messages, and as fields of a JSON dump. A value may have no elements: nothing was observed.
  { S::Text(value) } -> std::same_as<std::string>;
  { S::Fields(value) } -> std::same_as<Json>;
};

// Further, for the recorder (calib/), which alone knows tensors. A sum has a function that adds to
// it (calib/observer.h); everything else has
//   static constexpr Precision kPrecision;
//   template <class Tensor> static Tensor Observe(const Tensor& x);
//     `x` [rows, K], rows > 0: the elements of these rows' value, in any shape.
//   template <class Tensor> static Tensor Join(const Tensor& a, const Tensor& b);
//     Two flat results of Observe as one. Operators of tensors are found by their argument.

struct Statistic {
  std::string_view name;
  int version = 0;
  Site site = Site::kLinearInput;
  std::string_view tensor, tokens;
  ElementType element_type = ElementType::kF32;
  size_t element_bytes = 0;
  bool is_sum = false;
  Purpose purpose = Purpose::kAny;
  size_t (*elements)(size_t columns) = nullptr;  // of a sum
  std::optional<std::vector<int64_t>> (*shape)(size_t elements) = nullptr;
  Value (*nothing)() = nullptr;
  void (*merge)(Value& into, const Value& other) = nullptr;
  double (*change)(const Value& a, const Value& b) = nullptr;
  std::string (*text)(const Value& value) = nullptr;
  Json (*fields)(const Value& value) = nullptr;

  // Of a sum over inputs [rows, columns].
  uint64_t PayloadBytes(size_t columns) const { return elements(columns) * element_bytes; }
};

// Describe for sums and all others alike.
template <IsStatistic S>
constexpr Statistic DescribeCommon() {
  using Element = typename S::Element;
  return {.name = S::kName,
          .version = S::kVersion,
          .site = S::kSite,
          .tensor = S::kTensor,
          .tokens = S::kTokens,
          .element_type = kElementType<Element>,
          .element_bytes = sizeof(Element),
          .is_sum = kIsSum<S>,
          .shape = [](size_t elements) { return S::Shape(elements); },
          .nothing =
              [] {
                return Value{0, PayloadOf<Element>(S::Nothing())};
              },
          .merge =
              [](Value& into, const Value& other) {
                Observed<Element> merged = ElementsOf<Element>(into);
                S::Merge(merged, ElementsOf<Element>(other));
                into.payload = PayloadOf<Element>(merged.elements);
              },
          .change =
              [](const Value& a, const Value& b) {
                return S::Change(ElementsOf<Element>(a), ElementsOf<Element>(b));
              },
          .text = [](const Value& value) { return S::Text(ElementsOf<Element>(value)); },
          .fields = [](const Value& value) { return S::Fields(ElementsOf<Element>(value)); }};
}

template <IsStatistic S>
constexpr Statistic Describe() {
  Statistic statistic = DescribeCommon<S>();
  if constexpr (requires { S::kPurpose; }) statistic.purpose = S::kPurpose;
  if constexpr (kIsSum<S>) {
    statistic.elements = [](size_t columns) { return S::Elements(columns); };
  }
  return statistic;
}

// The value that `bytes` hold; kStoreCorrupt naming `origin` when they cannot be the statistic's.
Value Parse(const Statistic& statistic, std::span<const std::byte> bytes, std::string_view origin);

// Elements of the payload, which Parse has seen.
std::vector<int64_t> ShapeOf(const Statistic& statistic, const Value& value);

// Adds what `other` observed to `into`. kStoreCorrupt naming `origin` when they have different
// sizes.
void Merge(const Statistic& statistic, Value& into, const Value& other, std::string_view origin);

// |a - b| / max(|a|, |b|), 0 for equal numbers.
double RelativeChange(double a, double b);

// The statistic's Change; 1 when the sizes differ or only one has observed anything.
double Change(const Statistic& statistic, const Value& a, const Value& b);

}  // namespace vernier::statistics

#endif  // VERNIER_CALIB_STATISTICS_STATISTIC_H_

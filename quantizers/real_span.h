// Values in one of the two types that kernels read and write. Each kernel is a template over the
// type, behind one function that takes either.
#ifndef VERNIER_QUANTIZERS_REAL_SPAN_H_
#define VERNIER_QUANTIZERS_REAL_SPAN_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

namespace vernier::quantizers {

// F32 or BF16 values. Vectors and spans of either convert to it.
using RealSpan = std::variant<std::span<const float>, std::span<const uint16_t>>;
using MutableRealSpan = std::variant<std::span<float>, std::span<uint16_t>>;

template <typename F32, typename Bf16>
size_t SizeOf(const std::variant<F32, Bf16>& reals) {
  return std::visit([](auto values) { return values.size(); }, reals);
}

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_REAL_SPAN_H_

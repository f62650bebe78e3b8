// Inputs on which the fast functions of a format are compared with its scalar definition.
#ifndef VERNIER_TESTS_QUANTIZERS_FORMAT_INPUTS_H_
#define VERNIER_TESTS_QUANTIZERS_FORMAT_INPUTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace vernier::quantizers {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct NamedValues {
  std::string name;
  std::vector<float> values;
};

// `count` values each: Gaussian, of all exponents, on the ties of small grids, zeros among few
// others, and with infinities and NaN.
std::vector<NamedValues> FormatInputs(size_t count);

// Those of FormatInputs without infinities and NaN.
std::vector<NamedValues> FiniteInputs(size_t count);

std::vector<uint16_t> ToBf16(const std::vector<float>& values);
std::vector<uint8_t> RandomBytes(size_t count);
std::vector<uint32_t> Bits(const std::vector<float>& values);

// Calls `check` once per SIMD target of this machine, with the kernels forced to it; failures name
// the target.
void OnEveryTarget(const std::function<void()>& check);

}  // namespace vernier::quantizers

#endif  // VERNIER_TESTS_QUANTIZERS_FORMAT_INPUTS_H_

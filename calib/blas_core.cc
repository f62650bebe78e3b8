#include "calib/blas_core.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string_view>

namespace vernier::calib {
namespace {

// What OpenBLAS calls the kernels that it has chosen; empty when the BLAS is not OpenBLAS.
std::string_view ChosenCore() {
  using GetCoreName = char* (*)();
  const auto get = reinterpret_cast<GetCoreName>(dlsym(RTLD_DEFAULT, "openblas_get_corename"));
  return get == nullptr ? std::string_view() : get();
}

}  // namespace

std::optional<std::string> BetterBlasCore() {
  if (std::getenv(kBlasCoreVariable) != nullptr || ChosenCore() != "Prescott") return std::nullopt;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return "SkylakeX";
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
#endif
  return std::nullopt;
}

}  // namespace vernier::calib

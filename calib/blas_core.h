// Notices when OpenBLAS does not know the processor and runs its slowest kernels.
#ifndef VERNIER_CALIB_BLAS_CORE_H_
#define VERNIER_CALIB_BLAS_CORE_H_

#include <optional>
#include <string>

namespace vernier::calib {

inline constexpr const char* kBlasCoreVariable = "OPENBLAS_CORETYPE";

// The core type that OpenBLAS should be told to use through kBlasCoreVariable before the process
// starts: Debian 12's OpenBLAS 0.3.21 takes newer processors for a Prescott (SSE3), which makes
// matrix products several times slower. Nothing when another BLAS is in use, when OpenBLAS chose
// well, or when the variable is set already.
std::optional<std::string> BetterBlasCore();

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BLAS_CORE_H_

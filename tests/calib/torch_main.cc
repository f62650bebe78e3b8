// main() of test programs that link libtorch: as `vernier-torch` does, it starts anew when
// OpenBLAS would otherwise run its slowest kernels.
#include <unistd.h>

#include <cstdlib>

#include "calib/blas_core.h"
#include "tests/support/run_tests.h"

int main(int argc, char** argv) {
  if (const auto core = vernier::calib::BetterBlasCore()) {
    setenv(vernier::calib::kBlasCoreVariable, core->c_str(), /*overwrite=*/0);
    execv("/proc/self/exe", argv);
  }
  return vernier::testing::RunTests(argc, argv);
}

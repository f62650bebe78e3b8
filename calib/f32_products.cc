#include "calib/f32_products.h"

#if __has_include(<torch/version.h>)
#include <torch/version.h>
#endif

#if defined(TORCH_VERSION_MAJOR) && \
    (TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9))
#define VERNIER_HAVE_F32_PRODUCTS
#endif

namespace vernier::calib {

at::Tensor F32Products(const at::Tensor& a, const at::Tensor& b) {
#ifdef VERNIER_HAVE_F32_PRODUCTS
  if (a.is_cuda() && a.scalar_type() == at::kBFloat16) return at::bmm(a, b, at::kFloat);
#endif
  return at::bmm(a.to(at::kFloat), b.to(at::kFloat));
}

}  // namespace vernier::calib

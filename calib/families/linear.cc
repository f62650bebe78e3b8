#include "calib/families/linear.h"

#include <vector>

namespace vernier::calib {
namespace {

// What operands are multiplied in.
at::ScalarType ProductDtype(const at::Tensor& x) {
  return x.is_cuda() ? x.scalar_type() : at::kFloat;
}

at::Tensor Multiply(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias,
                    at::ScalarType product_dtype) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = w.size(0);
  const at::Tensor rows = x.reshape({-1, x.size(-1)}).to(product_dtype);
  const at::Tensor columns = w.to(product_dtype).t();
  if (!bias.defined()) return at::mm(rows, columns).view(shape);
  return at::addmm(bias.to(product_dtype), rows, columns).view(shape);
}

}  // namespace

at::Tensor Linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  return Multiply(x, w, bias, ProductDtype(x)).to(x.scalar_type());
}

at::Tensor LinearF32(const at::Tensor& x, const at::Tensor& w) {
  return Multiply(x, w, /*bias=*/{}, at::kFloat);
}

at::Tensor GroupedLinear(const at::Tensor& x, const at::Tensor& w) {
  const int64_t tokens = x.size(0), groups = x.size(1), k = x.size(2);
  const at::ScalarType product_dtype = ProductDtype(x);
  const at::Tensor by_group = x.transpose(0, 1).to(product_dtype);        // [G, T, K]
  const at::Tensor weights = w.view({groups, -1, k}).to(product_dtype);   // [G, N, K]
  const at::Tensor product = at::bmm(by_group, weights.transpose(1, 2));  // [G, T, N]
  return product.transpose(0, 1).reshape({tokens, w.size(0)}).to(x.scalar_type());
}

}  // namespace vernier::calib

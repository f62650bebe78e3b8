#include "calib/families/linear.h"

#include <functional>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <vector>

#include "base/rounding.h"
#include "calib/budget/loop_constants.h"
#include "calib/families/few_rows.h"
#include "calib/families/row_tiles.h"

namespace vernier::calib {
namespace {

std::atomic<bool> bf16_products_on_cpu = false;

// What operands are multiplied in.
at::ScalarType ProductDtype(const at::Tensor& x) {
  return x.is_cuda() || bf16_products_on_cpu ? x.scalar_type() : at::kFloat;
}

#if defined(__x86_64__)
// A bit of CPUID's leaf 7, extended features.
bool HasFeature(unsigned subleaf, unsigned register_index, unsigned bit) {
  std::array<unsigned, 4> registers{};
  if (__get_cpuid_count(7, subleaf, &registers[0], &registers[1], &registers[2], &registers[3]) ==
      0) {
    return false;
  }
  return (registers[register_index] >> bit & 1) != 0;
}

bool HasBf16Instructions() {
  constexpr unsigned kEax = 0, kEdx = 3;
  const bool avx512_bf16 = HasFeature(1, kEax, 5), amx_bf16 = HasFeature(0, kEdx, 22);
  return __builtin_cpu_supports("avx512bw") != 0 && (avx512_bf16 || amx_bf16);
}
#else
bool HasBf16Instructions() { return false; }
#endif

// rows [R, K] times columns [K, N], plus `bias` [N] if it is defined -> `out` [R, N], of any dtype.
void MultiplyInto(const at::Tensor& rows, const at::Tensor& columns, const at::Tensor& bias,
                  at::Tensor out) {
  const bool rounds = out.scalar_type() != columns.scalar_type();
  at::Tensor product = rounds ? at::empty(out.sizes(), columns.options()) : out;
  if (bias.defined()) {
    at::addmm_out(product, bias, rows, columns);
  } else {
    at::mm_out(product, rows, columns);
  }
  if (rounds) out.copy_(product);
}

// MultiplyInto of `height` rows: those that are missing are zeros.
void MultiplyAtHeight(int64_t height, const at::Tensor& rows, const at::Tensor& columns,
                      const at::Tensor& bias, const at::Tensor& out) {
  const int64_t missing = height - rows.size(0);
  if (missing == 0) return MultiplyInto(rows, columns, bias, out);
  const at::Tensor full = at::cat({rows, at::zeros({missing, rows.size(1)}, rows.options())});
  const at::Tensor full_out = at::empty({height, out.size(1)}, out.options());
  MultiplyInto(full, columns, bias, full_out);
  at::Tensor(out).copy_(full_out.slice(0, 0, rows.size(0)));
}

// MultiplyInto, kDeviceProductRows rows at a time.
void MultiplyAtFixedHeight(const at::Tensor& rows, const at::Tensor& columns,
                           const at::Tensor& bias, const at::Tensor& out) {
  for (int64_t begin = 0; begin < rows.size(0); begin += kDeviceProductRows) {
    const auto tile = [&](const at::Tensor& all) {
      return all.slice(0, begin, begin + kDeviceProductRows);
    };
    MultiplyAtHeight(kDeviceProductRows, tile(rows), columns, bias, tile(out));
  }
}

// Whether a product on a device that is not the CPU may depend on its height: cuBLAS cuts sums into
// pieces where a product has few tiles, and chooses F32 kernels by the number of rows.
bool DependsOnHeight(int64_t rows, int64_t columns, at::ScalarType product_dtype,
                     at::Device device) {
  if (device.is_cpu() || rows <= kFewDeviceRows) return false;
  return product_dtype == at::kFloat || columns < kWideProduct;
}

// Calls `run` with tiles of `out` [R, N] that together are all of it, and their first row and
// column. On a device other than a CPU that is all at once.
void ForProductTiles(
    const at::Tensor& out,
    const std::function<void(const at::Tensor& tile, int64_t row, int64_t column)>& run) {
  if (!out.is_cpu()) return run(out, 0, 0);
  const int64_t across = std::max<int64_t>(CeilDivide(out.size(1), kProductColumns), 1);
  const int64_t columns = CeilDivide(out.size(1), across);
  const int64_t down = CeilDivide(out.size(0), kProductRows);
  ForRowTiles(out.device(), down * across, 1, [&](int64_t i, int64_t) {
    const int64_t row = i / across * kProductRows, column = i % across * columns;
    run(out.slice(0, row, row + kProductRows).slice(1, column, column + columns), row, column);
  });
}

// Operands of `product_dtype`, a result of `dtype`.
at::Tensor Multiply(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias,
                    at::ScalarType product_dtype, at::ScalarType dtype) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = w.size(0);
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  if (product_dtype == at::kFloat && IsOfFewRows(rows, w)) {
    const at::Tensor product = MultiplyFewRows(rows.to(product_dtype), w);
    return (bias.defined() ? product + bias : product).to(dtype).view(shape);
  }
  const at::Tensor columns = w.to(product_dtype).t();
  const at::Tensor sums = bias.defined() ? bias.to(product_dtype) : bias;
  const at::Tensor out = at::empty({rows.size(0), w.size(0)}, x.options().dtype(dtype));
  if (DependsOnHeight(rows.size(0), w.size(0), product_dtype, x.device())) {
    MultiplyAtFixedHeight(rows.to(product_dtype), columns, sums, out);
    return out.view(shape);
  }
  ForProductTiles(out, [&](const at::Tensor& tile, int64_t row, int64_t column) {
    const auto of_columns = [&](const at::Tensor& all, int64_t axis) {
      return all.slice(axis, column, column + tile.size(1));
    };
    const bool pads = tile.is_cpu() && product_dtype == at::kFloat;
    MultiplyAtHeight(pads ? RoundUp(tile.size(0), kProductRowUnit) : tile.size(0),
                     rows.slice(0, row, row + tile.size(0)).to(product_dtype),
                     of_columns(columns, 1), sums.defined() ? of_columns(sums, 0) : sums, tile);
  });
  return out.view(shape);
}

}  // namespace

bool HasFastBf16Products() { return HasBf16Instructions() && at::hasMKLDNN(); }

recipes::CpuProducts ResolveProducts(recipes::CpuProducts products) {
  if (products != recipes::CpuProducts::kAuto) return products;
  return HasFastBf16Products() ? recipes::CpuProducts::kBf16 : recipes::CpuProducts::kF32;
}

CpuProductsSetting::CpuProductsSetting(recipes::CpuProducts products)
    : before_(bf16_products_on_cpu.exchange(ResolveProducts(products) ==
                                            recipes::CpuProducts::kBf16)) {}

CpuProductsSetting::~CpuProductsSetting() { bf16_products_on_cpu = before_; }

at::Tensor Linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  return Multiply(x, w, bias, ProductDtype(x), x.scalar_type());
}

at::Tensor LinearF32(const at::Tensor& x, const at::Tensor& w) {
  return Multiply(x, w, /*bias=*/{}, at::kFloat, at::kFloat);
}

at::Tensor GroupedLinear(const at::Tensor& x, const at::Tensor& w) {
  const int64_t tokens = x.size(0), groups = x.size(1), k = x.size(2);
  const at::ScalarType product_dtype = ProductDtype(x);
  const bool on_cpu = x.is_cpu() && product_dtype == at::kFloat;
  if (on_cpu || DependsOnHeight(tokens, w.size(0) / groups, product_dtype, x.device())) {
    std::vector<at::Tensor> products;
    for (int64_t g = 0; g < groups; ++g) {
      products.push_back(Linear(x.select(1, g), w.view({groups, -1, k}).select(0, g)));
    }
    return at::cat(products, 1);
  }
  const at::Tensor by_group = x.transpose(0, 1).to(product_dtype);        // [G, T, K]
  const at::Tensor weights = w.view({groups, -1, k}).to(product_dtype);   // [G, N, K]
  const at::Tensor product = at::bmm(by_group, weights.transpose(1, 2));  // [G, T, N]
  return product.transpose(0, 1).reshape({tokens, w.size(0)}).to(x.scalar_type());
}

at::Tensor MatrixProducts(const at::Tensor& a, const at::Tensor& b, int64_t together) {
  if (a.is_cpu() || a.size(0) <= together) return at::bmm(a, b);
  const at::Tensor out = at::empty({a.size(0), a.size(1), b.size(2)}, a.options());
  for (int64_t begin = 0; begin < a.size(0); begin += together) {
    const auto part = [&](const at::Tensor& all) { return all.slice(0, begin, begin + together); };
    at::Tensor products = part(out);
    at::bmm_out(products, part(a), part(b));
  }
  return out;
}

}  // namespace vernier::calib

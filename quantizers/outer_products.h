// Sums of outer products of blocks of columns: what the local Hessians E[x x^T] of a linear layer's
// input are made of.
#ifndef VERNIER_QUANTIZERS_OUTER_PRODUCTS_H_
#define VERNIER_QUANTIZERS_OUTER_PRODUCTS_H_

#include <cstddef>
#include <span>

#include "quantizers/real_span.h"

namespace vernier::quantizers {

// Columns of a block, those of NVFP4; and elements of its matrix on and above the diagonal, row by
// row.
inline constexpr size_t kOuterBlock = 16;
inline constexpr size_t kOuterTriangle = kOuterBlock * (kOuterBlock + 1) / 2;

// Where element (i, j) of a triangle is, i <= j.
constexpr size_t InOuterTriangle(size_t i, size_t j) {
  return i * (2 * kOuterBlock + 1 - i) / 2 + j - i;
}

// sums[b][i, j] = fma(x_i, x_j, sums[b][i, j]) in F32 for i <= j and each block b of 16 columns,
// x_i = rows[r * stride + 16 * b + i], row by row: so that sums do not depend on where rows are cut
// into calls. `sums` [blocks, 136]; `rows` ends with the last column of the last row, and
// 16 * blocks <= stride.
void AddOuterProducts(RealSpan rows, size_t stride, std::span<float> sums);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_OUTER_PRODUCTS_H_

// Sums of squares down the columns of a matrix: what E[x^2] of a linear layer's input is made of.
#ifndef VERNIER_QUANTIZERS_SQUARE_SUMS_H_
#define VERNIER_QUANTIZERS_SQUARE_SUMS_H_

#include <cstddef>
#include <span>

#include "quantizers/real_span.h"

namespace vernier::quantizers {

// sums[c] = fma(x, x, sums[c]) in F64 for x = rows[r * stride + c], row by row: so that sums do not
// depend on where rows are cut into calls. `rows` ends with the last column of the last row;
// sums.size() <= stride.
void AddSquares(RealSpan rows, size_t stride, std::span<double> sums);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_SQUARE_SUMS_H_

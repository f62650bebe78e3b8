// NVFP4 by GPTQ (Frantar et al., arXiv 2210.17323): columns are quantised one after the other, and
// each one's error is made up for, as far as correlated inputs allow, by the columns that are still
// to come. A block's scale is searched when its turn comes, on the values as compensated so far.
//
// Let H [columns, columns] be E[x x^T] of the inputs that the columns multiply, damped and permuted
// into the order of quantisation, and U the upper triangular factor of its inverse: U^T U = H^-1.
// With dw a row's error, sum of err_i^2 below is dw^T H dw.
//
// For every row, w = its values as F32, by position. In F32, where fma rounds once:
//   For each block of 16 positions, in order:
//     rule = E4M3 code of the rule's scale (nvfp4.h) for the block's w: that of amax / (6 *
//       global_scale), clamped to [2^-9, 448]; of 1.0 for zeros; of 448 with NaN or Inf.
//     For each code from rule - 4 to rule + 7 within [1, 126], s = RN(E4M3(code) * global_scale):
//       v = the block's w, cost = 0; for i = 0..15:
//         n_i = E2M1 value of RN(v_i / s), as QuantizeNvfp4 encodes it
//         err_i = RN(fma(-n_i, s, v_i) * RN(1 / U_ii))
//         cost = fma(err_i, err_i, cost)
//         v_k = fma(-err_i, U_ik, v_k) for k = i + 1..15
//     The code with the smallest cost is the block's scale; of equals, the rule's code if it is
//     among them, else the smallest. Its n_i are the block's nibbles.
//     w_j = fma(-err_i, U_ij, w_j) for i = 0..15 in order, for all positions j behind the block.
// A cost that is NaN or infinite never wins. Where no code has a finite one (the block has NaN or
// Inf, or F32 overflows), the block gets the rule's code and what QuantizeNvfp4 makes of its w with
// it, and err = 0: nothing is compensated for it. So no NaN scale is written, and NaN stays in its
// block. Values beyond 6 * 448 * global_scale saturate, and their errors are compensated like any.
//
// The window. Its scales are 0.7 to 1.8 times the rule's. On made-up layers of 256 correlated
// columns (nvfp4_gptq_test.cc; weights Gaussian and Student's t) a search of all codes would lower
// dw^T H dw by 0.2 %; the rule's code alone raises it by 70 %.
#ifndef VERNIER_QUANTIZERS_NVFP4_GPTQ_H_
#define VERNIER_QUANTIZERS_NVFP4_GPTQ_H_

#include <cstdint>
#include <span>
#include <vector>

#include "quantizers/real_span.h"

namespace vernier::quantizers {

inline constexpr int kGptqCodesBelowRule = 4;
inline constexpr int kGptqCodesAboveRule = 7;

// Rows that are worked on at once: their working copy, at most kGptqRows * columns F32, is all the
// memory that quantising takes.
inline constexpr int64_t kGptqRows = 256;

struct Nvfp4GptqOptions {
  float global_scale = 1;  // as Nvfp4Options has it; Nvfp4GlobalScale for a search suits
  // [columns]: the column at each position. Positions 16 b to 16 b + 15 are the columns of one
  // block of NVFP4, in any order; blocks come in any order.
  std::span<const int32_t> order;
  // U [columns, columns], row-major by positions. Finite; its diagonal > 0 with finite
  // reciprocals; what is below the diagonal is not read.
  std::span<const float> factor;
};

// Quantises rows of `columns` values (row-major; columns % 16 == 0). Packed and scales are laid out
// as QuantizeNvfp4's: the order of quantisation does not show. Rows do not depend on each other, so
// that threads may share them in any way; U is read once per kGptqRows rows of a call. Throws
// std::bad_alloc where there is no memory for the working copy.
void QuantizeNvfp4Gptq(RealSpan values, int64_t columns, const Nvfp4GptqOptions& options,
                       std::span<uint8_t> packed, std::span<uint8_t> scales);

// An order in which what matters most comes first, while the most is left to compensate for it:
// blocks of 16 columns by the sum of their diagonal of H [columns], largest first, and so the
// columns within a block; equals in the order of columns. Finite values; columns % 16 == 0.
std::vector<int32_t> Nvfp4GptqOrder(std::span<const double> diagonal);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_NVFP4_GPTQ_H_

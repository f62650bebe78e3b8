// The search for the block scale with the smallest error under a local Hessian.
//
// H is a block's 16 x 16 matrix E[x x^T] of the inputs that its columns multiply: a row's output
// changes by e^T x where its weights change by e, and by e^T H e in the mean square. (ModelOpt's
// local_hessian calibration; GPTQ's Hessian, arXiv 2210.17323, restricted to blocks.)
//
// Error of an E4M3 code, in units of global_scale^2, in F32:
//   e_i = fma(-n_i, E4M3(code), RN(x_i * RN(1 / global_scale))), where n_i is the E2M1 value that
//         x_i is quantised to with this code (nvfp4.h);
//   t_i = RN(h_ii * e_i), then t_i = fma(2 * h_ij, e_j, t_i) for j = i + 1..15;
//   error = fma(t_i, e_i, error) for i = 0..15, from 0.
// So only the upper triangle of H is read. A zero diagonal, which of such matrices only 0 has,
// counts as the identity.
//
// Of all codes from 1 to 8 more than the rule's (E4M3 of amax / (6 * global_scale)), at most 126,
// the one with the smallest error wins; of equals, the rule's code if it is among them, else the
// smallest. Two kinds of block keep the rule's code: zeros, and those with NaN, Inf or
// amax >= 6 * 448 * global_scale, for which 448 is hardly enough.
//
// Upper end. Eight codes are a factor of 2. Scales beyond use no more than five of the eight
// magnitudes, and win where coarse errors of correlated columns happen to cancel. Searched as well,
// they would lower the error in the MLPs of a small language model (SmolLM2-135M) by 0.05 %, in its
// attention by 0.3 to 1 %.
//
// Lower end. All codes down to 1 count, but two bounds show that few can win. Both are on the error
// at every code of at most s = E4M3(code):
//   Share. Let H - share * diag(H) be positive semidefinite. The error is at least
//   share * h_ii * e_i^2 for every i, and |e_i| is at least |x_i| / global_scale - 6 s.
//   Norm. In the norm of H, |e| is at least |x| / global_scale - |q|, where q are the quantised
//   values and |q| is at most 6 s * sqrt(sum |h_ij|).
// The search ends where one of them exceeds the smallest error so far. They hold but for rounding:
// an error as computed is off by at most 33 * 2^-24 * sum |h_ij * e_i * e_j|, which is no more than
// 33 * 16 * 2^-24 * sum h_ii * e_i^2, and the factorisation that shows a share by half of that.
// Their margins are several times as much.
#ifndef VERNIER_QUANTIZERS_NVFP4_LOCAL_HESSIAN_H_
#define VERNIER_QUANTIZERS_NVFP4_LOCAL_HESSIAN_H_

namespace vernier::quantizers {

inline constexpr int kCodesAboveRule = 8;

// How far below the rule's code the search goes before it looks at bounds, which seldom end it
// sooner.
inline constexpr int kUncheckedBelowRule = 2;

// A share is known to a step of this, less a margin of so much of itself.
inline constexpr float kShareStep = 1.0f / 64;
inline constexpr float kShareMargin = 1.0f / 64;

// What comes off the norm's square, of sum h_ii * x_i^2; and off |x|, of itself.
inline constexpr float kEnergyMargin = kShareStep * kShareMargin;
inline constexpr float kBoundMargin = 1.0f / 1024;

// Below this, errors and factors may have lost more to underflow than to rounding.
inline constexpr float kTinyError = 0x1p-100f;

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_NVFP4_LOCAL_HESSIAN_H_

// Which instruction sets kernels are compiled for. A file with kernels includes this before any
// Highway header, and tests VERNIER_SCALAR_TARGET inside its per-target part: there the kernel is a
// call of the scalar definition. Results must not depend on the target, so that only targets with
// a fused multiply-add of their own take part: AVX-512, AVX2 and NEON.
#ifndef VERNIER_QUANTIZERS_SIMD_DISPATCH_H_
#define VERNIER_QUANTIZERS_SIMD_DISPATCH_H_

#define HWY_DISABLED_TARGETS (~(HWY_AVX3 | HWY_AVX2 | HWY_NEON | HWY_EMU128 | HWY_SCALAR))

// Nonzero while compiling for a machine without any of the targets above.
#define VERNIER_SCALAR_TARGET (HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128)

#endif  // VERNIER_QUANTIZERS_SIMD_DISPATCH_H_

// Steps of forward passes and of the decoding of weights on a CUDA device, each in one kernel where
// libtorch would need several operators and memory between them.
#ifndef VERNIER_CALIB_DEVICE_FORWARD_H_
#define VERNIER_CALIB_DEVICE_FORWARD_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <string>

#include "calib/device_kernels.h"

namespace vernier::calib {

// The kernels as text (calib/forward_kernel.cu).
extern const char kForwardKernelSource[];

// Threads of a block at most, and what a thread decodes or looks through. The kernels have the
// same.
inline constexpr int64_t kForwardThreads = 256, kCodesOfThread = 8, kFoursOfThread = 8;

// Tensors are F32 or BF16, on the device of the kernels, and need not be contiguous. What is
// computed is in F32 and rounded once; no row depends on which others come with it.
class DeviceForward {
 public:
  // With kForwardKernelSource's kernels, which must outlive it.
  explicit DeviceForward(const DeviceKernels& kernels) : kernels_(&kernels) {}
  // What computes with `x`; nothing where others do: x is of another dtype, or its device is none
  // that KernelsOfSource finds kernels for.
  static std::optional<DeviceForward> For(const at::Tensor& x);
  // The same for what will be on `device`.
  static std::optional<DeviceForward> For(at::Device device);
  // Why a CUDA device cannot; empty: it can, or it is none.
  static std::string ProblemOf(at::Device device);

  // x / sqrt(mean(x^2) + eps) over the last axis, times `weight` [K] F32 if that is defined ->
  // `dtype`: x's, or F32.
  at::Tensor Normalize(const at::Tensor& x, const at::Tensor& weight, double eps,
                       at::ScalarType dtype) const;

  // x + y, like x. y has x's elements in any shape.
  at::Tensor Add(const at::Tensor& x, const at::Tensor& y) const;

  // silu(min(gate, limit)) * clamp(up, -limit, limit), like gate.
  at::Tensor Swiglu(const at::Tensor& gate, const at::Tensor& up, double limit) const;

  // Rotates the channels from `begin` on of x [..., P, d] or, with `per_head`, of [..., P, h, d] by
  // the first P of cos and sin [.., pairs] F32: those of a pair are neighbours, or half of the
  // channels apart.
  at::Tensor Rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                    bool per_head, bool neighbours, int64_t begin) const;

  // Which keys a row of scores sees: row r is a query at position begin + r / group % queries, its
  // first key is at position `first`. It sees its own position and those before, the last `window`
  // of them if that is not 0.
  struct Before {
    int64_t group = 1, queries = 1, begin = 0, first = 0, window = 0;
    int64_t shared = 1;  // row r is of head (r / group / queries % shared) * group + r % group
  };
  // In place: softmax of scale * p over the last axis; p is contiguous F32. `sinks`, if it is
  // defined: a score of each head [shared * group] F32 that has no value.
  void Softmax(const at::Tensor& p, const Before& sees, double scale,
               const at::Tensor& sinks = {}) const;
  // p [..., C, heads, K] sees what `visible` [..., C, K] (bool) says, and a score `sink` [heads]
  // (F32) that has no value.
  void Softmax(const at::Tensor& p, const at::Tensor& visible, const at::Tensor& sink,
               double scale) const;

  // y[rows[i]] += weights[i] * x[i]: x [R, D], weights [R] F32, rows [R] I64 of which none comes
  // twice, y [T, D] F32 and contiguous.
  void AddRows(const at::Tensor& x, const at::Tensor& weights, const at::Tensor& rows,
               const at::Tensor& y) const;

  // streams [..., n, D], weights [T, n] F32 -> sum_i weights[:, i] * streams_i, [T, D] like
  // streams. D is a multiple of kFour.
  at::Tensor JoinStreams(const at::Tensor& streams, const at::Tensor& weights) const;
  // old [..., n, D], y of T * D elements, post [T, n], comb [T, n, n], F32 -> like old: stream i is
  // post_i * y + sum_j comb[j, i] * old_j. D is a multiple of kFour.
  at::Tensor MixStreams(const at::Tensor& old, const at::Tensor& y, const at::Tensor& post,
                        const at::Tensor& comb) const;
  static constexpr int64_t kFour = 4;

  // max |x| of x, not empty: F32 [1]. NaN if there is one.
  at::Tensor LargestMagnitude(const at::Tensor& x) const;

  // Codes and scales as they are stored, U8 [bytes] each.
  struct Stored {
    at::Tensor codes, scales;
    int64_t rows = 0, columns = 0, block_rows = 1, block_columns = 1;  // of values, of a scale
    bool is_e4m3 = false;                                              // else E2M1
    enum class Scale { kE8m0, kE4m3, kF32, kBf16 } scale = Scale::kE8m0;
    float global = 1;  // what E4M3 scales are multiplied with
  };
  // Whether Decode knows its sizes and alignments, and codes and scales have them.
  static bool CanDecode(const Stored& stored);
  // -> values [rows, columns] of `dtype`, and the largest of their magnitudes, F32 [1].
  struct Decoded {
    at::Tensor values, largest;
  };
  Decoded Decode(const Stored& stored, at::ScalarType dtype) const;

 private:
  const DeviceKernels* kernels_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_DEVICE_FORWARD_H_

// Weights in NVFP4 while a calibration decides about them.
#ifndef VERNIER_CALIB_ENCODED_WEIGHT_H_
#define VERNIER_CALIB_ENCODED_WEIGHT_H_

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "calib/reals.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/rescaling.h"
#include "checkpoint/source_model.h"
#include "checkpoint/weight_reader.h"
#include "quantizers/nvfp4.h"
#include "quantizers/real_span.h"

namespace vernier::calib {

// Rows [N, K] as codes and block scales, on any device.
struct EncodedWeight {
  at::Tensor codes;   // U8 [N, K / 2]
  at::Tensor scales;  // U8 [N, K / 16]

  std::vector<std::byte> Bytes() const;  // codes, then scales; waits for the device
};

// Values [rows, K] on the CPU: BF16 where that is exact, else F32. `rescaling` is the weight's;
// `pinned`: in memory that a CUDA device copies from fast.
at::Tensor ReadWeightRows(const checkpoint::SourceModel& source,
                          const checkpoint::WeightReader& reader,
                          const checkpoint::LogicalWeight& weight,
                          const checkpoint::Rescaling& rescaling, int64_t first, int64_t rows,
                          bool pinned = false);

// Calls `encode(rows' values, their codes, their scales)` on threads, for tiles of the rows of
// `values` [N, K] on the CPU; what is made is pinned where they are.
using EncodeRows = std::function<void(quantizers::RealSpan values, std::span<uint8_t> codes,
                                      std::span<uint8_t> scales)>;
EncodedWeight Encode(const at::Tensor& values, const EncodeRows& encode);
EncodedWeight Encode(const at::Tensor& values, const quantizers::Nvfp4Options& options);

// What the encoded weight is [N, K] F32, on a device: decoded there.
at::Tensor Decode(const EncodedWeight& encoded, float global_scale, at::Device device = at::kCPU);

// The largest magnitude; values BF16 or F32, on any device.
float AmaxOf(const at::Tensor& values);

// Of x [R, N] on any device: rows first, so that it does not depend on threads.
double SumOfSquares(const at::Tensor& x);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_ENCODED_WEIGHT_H_

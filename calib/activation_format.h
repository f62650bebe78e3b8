// What engines do to the input of a linear layer, told by how the checkpoint stores its weight.
#ifndef VERNIER_CALIB_ACTIVATION_FORMAT_H_
#define VERNIER_CALIB_ACTIVATION_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "checkpoint/formats/activation_format.h"
#include "checkpoint/logical_weight.h"

namespace vernier::calib {

using checkpoint::ActivationFormat;
inline constexpr std::string_view kNotEmulatedName = "not-emulated";
// "none", "nvfp4", "fp8-tensor", "fp8-token", "fp8-group", or kNotEmulatedName
std::string_view ActivationFormatName(ActivationFormat format);

// Which static input scale routed experts have: their own, or, as in vLLM's and FlashInfer's
// kernels, the largest of the layer's experts, of the first and of the second product each.
enum class ExpertInputScale { kOwn, kLargest };

struct ActivationQuantization {
  ActivationFormat format = ActivationFormat::kUnquantized;
  float scale = 1;            // a multiplier; of kNvfp4 and kFp8Tensor
  int64_t group = 0;          // columns; of kFp8Group
  bool power_of_two = false;  // scales of kFp8Group

  bool Quantizes() const {
    return format != ActivationFormat::kUnquantized && format != ActivationFormat::kNotEmulated;
  }
};

// By the weight's format (checkpoint/formats/):
//   NVFP4        with an input scale kNvfp4; without one W4A16
//   FP8, tensor  with an input scale kFp8Tensor; without one kNotEmulated: some engines take a
//                scale per tensor at run time, others one per token, others none
//   FP8, row     kFp8Token, or kFp8Tensor when it has an input scale
//   FP8, block   kFp8Group of the block's columns; with scales that are powers of two where the
//                weight's are (DeepSeek's scale_fmt ue8m0)
//   MXFP8, MXFP4 kNotEmulated
//   others       kUnquantized
// Every module has its own input scale here. Engines merge those of layers that they fuse (the
// largest counts), which what Vernier writes is already, and those of all experts
// (ActivationQuantizer). kBadWeightValue for an input scale that is not a positive number.
ActivationQuantization ReadActivationQuantization(const checkpoint::Checkpoint& checkpoint,
                                                  const checkpoint::LogicalWeight& weight);

// A scale as it is stored, one number: F32, BF16 or F16.
float ReadScalar(const checkpoint::Checkpoint& checkpoint, size_t tensor);

// Whether it is a positive normal number, and its reciprocal one too, for scales that divide.
bool IsUsableScale(float scale);

// A scale of activations. kBadWeightValue unless it is usable.
float ReadActivationScale(const checkpoint::Checkpoint& checkpoint, size_t tensor);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_ACTIVATION_FORMAT_H_

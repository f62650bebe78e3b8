// Dequantisation in ATen operators or, on a CUDA device, in a kernel, so that a weight's stored
// bytes can be sent to a device and decoded there: bit for bit what checkpoint::DecodeRows makes of
// them, which tests compare it with.
#ifndef VERNIER_CALIB_DEVICE_DECODER_H_
#define VERNIER_CALIB_DEVICE_DECODER_H_

#include <ATen/ATen.h>

#include <optional>

#include "checkpoint/checkpoint.h"
#include "checkpoint/logical_weight.h"

namespace vernier::calib {

// All bytes of a weight's tensors: 1-D contiguous U8 tensors on the decoder's device, at any
// alignment. Elements of two or four bytes are copied first where they are not aligned.
struct StoredWeight {
  at::Tensor main;
  at::Tensor scale = {};   // undefined for formats without block scales
  float global_scale = 1;  // checkpoint::ReadGlobalScale's
};

struct DecodedWeight {
  at::Tensor values;  // [weight.shape], contiguous; shares no memory with the stored bytes
  // The largest magnitude of the values: a scalar, floating, on the device. NaN or infinite
  // when DecodeRows refuses a value with kBadWeightValue as it decodes the same bytes to the same
  // dtype; the values mean nothing then.
  at::Tensor largest;
};

// Thread-safe. Works on the device's current stream and never waits for the device.
class DeviceDecoder {
 public:
  // `checkpoint`, of which only headers are used, must outlive the decoder.
  DeviceDecoder(const checkpoint::Checkpoint& checkpoint, at::Device device);

  // Whether Decode knows the weight's format and dtypes; INT4 and integer tables it does not.
  bool Knows(const checkpoint::LogicalWeight& weight) const;

  // The values of a weight that it Knows, as `dtype`: kBFloat16 or kFloat. Where it takes
  // operators, these take 64 MiB and the scales beside the values; on a CPU also F32 copies of
  // values that become BF16.
  DecodedWeight Decode(const checkpoint::LogicalWeight& weight, const StoredWeight& stored,
                       at::ScalarType dtype) const;

 private:
  // The values of every code, in one dtype, on the device.
  struct Tables {
    at::Tensor e2m1_pairs;  // [256]: the two values of a byte, low nibble first, as one integer
    at::Tensor e4m3;        // [256]
    at::Tensor e8m0;        // [256]
  };

  static Tables MakeTables(at::ScalarType dtype, at::Device device);
  const Tables& TablesOf(at::ScalarType dtype) const { return dtype == at::kFloat ? f32_ : bf16_; }

  // What a kernel makes; nothing where operators must.
  std::optional<DecodedWeight> DecodeInKernel(const checkpoint::LogicalWeight& weight,
                                              const StoredWeight& stored,
                                              at::ScalarType dtype) const;
  checkpoint::DType TypeOf(size_t tensor) const { return checkpoint_->tensor(tensor).info.dtype; }
  at::Tensor DecodePlain(const checkpoint::LogicalWeight& weight, const at::Tensor& bytes,
                         at::ScalarType dtype) const;
  at::Tensor DecodeElements(const checkpoint::LogicalWeight& weight, const at::Tensor& bytes,
                            at::ScalarType dtype) const;
  at::Tensor DecodeScales(const checkpoint::LogicalWeight& weight, const StoredWeight& stored,
                          at::ScalarType dtype) const;

  const checkpoint::Checkpoint* checkpoint_;
  Tables bf16_;
  Tables f32_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_DEVICE_DECODER_H_

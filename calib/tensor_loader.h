// Loads logical weights from a checkpoint as tensors.
#ifndef VERNIER_CALIB_TENSOR_LOADER_H_
#define VERNIER_CALIB_TENSOR_LOADER_H_

#include <ATen/ATen.h>

#include <string_view>

#include "checkpoint/source_model.h"
#include "checkpoint/weight_reader.h"

namespace vernier::calib {

// Thread-safe. Names are those of main tensors ("layers.0.attn.wq_a.weight"). A name that the
// checkpoint lacks is kMissingTensor.
class TensorLoader {
 public:
  // `source` must outlive the loader. `compute_dtype` is kBFloat16 or kFloat. An observer is told
  // of weights that are loaded whole.
  TensorLoader(const checkpoint::SourceModel& source, at::Device device,
               at::ScalarType compute_dtype, checkpoint::ReadOptions read = {});

  at::Device device() const { return device_; }
  at::ScalarType compute_dtype() const { return compute_dtype_; }
  const checkpoint::SourceModel& source() const { return *source_; }

  bool Has(std::string_view name) const;

  // Dequantised values in the compute dtype, on the device.
  at::Tensor Load(std::string_view name) const;
  // The same, left in host memory: for weights that are staged before the device has room.
  at::Tensor LoadToHost(std::string_view name) const;
  // Dequantised values in F32, or an integer table in I64, on the device whatever the compute
  // dtype.
  at::Tensor LoadExact(std::string_view name) const;
  // Rows of a 2-D weight by index (host I64 [n], any order, repeats allowed) in the compute dtype,
  // on the device: reads only those rows, so a vocabulary need not fit in memory.
  at::Tensor LoadRows(std::string_view name, const at::Tensor& rows) const;

 private:
  const checkpoint::LogicalWeight& Find(std::string_view name) const;
  at::Tensor ReadRows(const checkpoint::LogicalWeight& weight, int64_t begin, int64_t count,
                      at::ScalarType dtype) const;

  const checkpoint::SourceModel* source_;
  checkpoint::ReadOptions read_;
  checkpoint::WeightReader reader_;
  at::Device device_;
  at::ScalarType compute_dtype_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_TENSOR_LOADER_H_

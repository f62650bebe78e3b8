// Loads logical weights from a checkpoint as tensors.
#ifndef VERNIER_CALIB_TENSOR_LOADER_H_
#define VERNIER_CALIB_TENSOR_LOADER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "calib/streamed_weights.h"
#include "checkpoint/source_model.h"
#include "checkpoint/weight_reader.h"

namespace vernier::calib {

// Values that are loaded in place of the checkpoint's. Thread-safe while nothing is expected.
class Substitutes {
 public:
  virtual ~Substitutes() = default;
  // Whether it has values of the weight; otherwise they are the checkpoint's.
  virtual bool Has(const checkpoint::LogicalWeight& weight) const = 0;
  // Those that will be asked for from now on, best in this order, so that they can be made ready
  // meanwhile.
  virtual void Expect(const std::vector<const checkpoint::LogicalWeight*>& weights) = 0;
  // BF16 or F32 of the weight's shape, on `device`.
  virtual at::Tensor Of(const checkpoint::LogicalWeight& weight, at::Device device) = 0;
};

// Names are those of main tensors ("layers.0.attn.wq_a.weight"). A name that the checkpoint lacks
// is kMissingTensor. On a CPU it is thread-safe; on another device, where weights are read ahead
// and decoded there, it belongs to one thread.
class TensorLoader {
 public:
  // `source` must outlive the loader. `compute_dtype` is kBFloat16 or kFloat. An observer is told
  // of weights that are loaded whole. `stream`: weights are read ahead; the default for any device
  // but the CPU.
  TensorLoader(const checkpoint::SourceModel& source, at::Device device,
               at::ScalarType compute_dtype, checkpoint::ReadOptions read = {},
               std::optional<WeightStreamOptions> stream = {});

  at::Device device() const { return device_; }
  at::ScalarType compute_dtype() const { return compute_dtype_; }
  const checkpoint::SourceModel& source() const { return *source_; }

  bool Has(std::string_view name) const;

  // While it lives, the loader loads these.
  class Substituting {
   public:
    Substituting(TensorLoader& loader, Substitutes& substitutes) : loader_(loader) {
      loader.substitutes_ = &substitutes;
    }
    ~Substituting() { loader_.substitutes_ = nullptr; }
    Substituting(const Substituting&) = delete;
    Substituting& operator=(const Substituting&) = delete;

   private:
    TensorLoader& loader_;
  };

  // What will be loaded from now on, so that it is read meanwhile: of what was said before, only
  // that is kept. False: nothing is read ahead.
  bool ReadAhead(const UpcomingWeights& next) const;
  // Where weights are read ahead, values of these stay on the device when they are loaded, for
  // TakeKept; of what was said and kept before, all is forgotten.
  void Keep(std::set<const checkpoint::LogicalWeight*> weights);
  // As they were loaded, in the compute dtype; undefined: they were not. Only once.
  at::Tensor TakeKept(const checkpoint::LogicalWeight& weight);

  // Of weights that were decoded on the device, kBadWeightValue for the first that has a value
  // which is not finite. Waits for the device.
  void CheckWeights() const;

  // Dequantised values in the compute dtype, on the device.
  at::Tensor Load(std::string_view name) const;
  // The same; where nothing is read ahead, left in host memory, for weights that are staged before
  // the device has room.
  at::Tensor LoadAhead(std::string_view name) const;
  // Dequantised values in F32, or an integer table in I64, on the device whatever the compute
  // dtype.
  at::Tensor LoadExact(std::string_view name) const;
  // Rows of a 2-D weight by index (host I64 [n], any order, repeats allowed) in the compute dtype,
  // on the device: reads only those rows, so a vocabulary need not fit in memory.
  at::Tensor LoadRows(std::string_view name, const at::Tensor& rows) const;

 private:
  const checkpoint::LogicalWeight& Find(std::string_view name) const;
  bool IsSubstituted(const checkpoint::LogicalWeight& weight) const {
    return substitutes_ != nullptr && substitutes_->Has(weight);
  }
  at::Tensor LoadToHost(const checkpoint::LogicalWeight& weight, at::ScalarType dtype) const;
  at::Tensor LoadAndKeep(const checkpoint::LogicalWeight& weight) const;
  // On the device, by way of the stream if it is expected there.
  at::Tensor LoadTo(const checkpoint::LogicalWeight& weight, at::ScalarType dtype) const;
  at::Tensor ReadRows(const checkpoint::LogicalWeight& weight, int64_t begin, int64_t count,
                      at::ScalarType dtype) const;
  // To `rows` [count, ...], contiguous on the host, of the dtype that is wanted.
  void ReadRowsInto(const checkpoint::LogicalWeight& weight, int64_t begin, int64_t count,
                    at::Tensor rows) const;

  const checkpoint::SourceModel* source_;
  Substitutes* substitutes_ = nullptr;
  std::set<const checkpoint::LogicalWeight*> keeps_;
  mutable std::map<const checkpoint::LogicalWeight*, at::Tensor> kept_;
  checkpoint::ReadOptions read_;
  checkpoint::WeightReader reader_;
  at::Device device_;
  at::ScalarType compute_dtype_;
  std::optional<WeightStreamOptions> stream_;          // nothing: no weight is read ahead
  mutable std::unique_ptr<StreamedWeights> streamed_;  // made when it is first needed
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_TENSOR_LOADER_H_

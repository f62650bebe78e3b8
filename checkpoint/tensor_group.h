// The tensors of a checkpoint grouped by the weight that they store, by their names alone.
#ifndef VERNIER_CHECKPOINT_TENSOR_GROUP_H_
#define VERNIER_CHECKPOINT_TENSOR_GROUP_H_

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/name_index.h"
#include "checkpoint/checkpoint.h"

namespace vernier::checkpoint {

inline constexpr std::string_view kWeightSuffix = ".weight";
inline constexpr std::string_view kPackedSuffix = ".weight_packed";

// What a tensor is to its weight, by the end of its name. The names are those of DeepSeek, Mistral,
// ModelOpt and compressed-tensors.
enum class Part {
  kWeight,           // X.weight; a tensor of another name, X itself
  kPackedWeight,     // X.weight_packed
  kCodes,            // X.qweight, X_blocks: values of a format with names of its own
  kScale,            // X.scale
  kScaleInverse,     // X.weight_scale_inv
  kWeightScale,      // X.weight_scale
  kGlobalScale,      // X.weight_scale_2
  kGlobalDivisor,    // X.weight_global_scale
  kInputScale,       // X.input_scale
  kInputDivisor,     // X.input_global_scale
  kActivationScale,  // X.activation_scale
  kPackedShape,      // X.weight_shape
  kZeroPoint,        // X.weight_zero_point
  kColumnOrder,      // X.weight_g_idx
  kPreQuantScale,    // X.pre_quant_scale
};
inline constexpr size_t kPartCount = static_cast<size_t>(Part::kPreQuantScale) + 1;

// Indices into Checkpoint::tensors(); Checkpoint::kNotFound where there is no such tensor.
struct TensorGroup {
  TensorGroup() { parts.fill(Checkpoint::kNotFound); }

  std::string module;                    // "layers.0.attn.wq_a", or a bare tensor's whole name
  std::array<size_t, kPartCount> parts;  // by Part
  // What only tools with formats of their own have: X.qzeros, X.weight.absmax.
  std::vector<size_t> others;
  bool bare = false;  // its weight is called X and not X.weight
  // Bare, with parts that are called X_weight_scale: all experts in one tensor.
  bool stacked = false;

  size_t operator[](Part part) const { return parts[static_cast<size_t>(part)]; }
  bool Has(Part part) const { return (*this)[part] != Checkpoint::kNotFound; }
  // The tensor of values, or kNotFound when there are only scales: codes, packed, weight.
  size_t Main() const;
  // Of the weight's blocks: the first of weight_scale, scale and weight_scale_inv that is there.
  size_t AnyScale() const;
  size_t AnyGlobalScale() const;  // multiplier or divisor
  size_t AnyInputScale() const;   // multiplier, divisor, or an activation scale
  // Every tensor, its values first.
  std::vector<size_t> Tensors() const;
};

struct TensorGroups {
  std::vector<TensorGroup> groups;  // in the order of their first tensors
  NameIndex by_module;
  // Parallel to Checkpoint::tensors(); kNotFound of one that was split.
  std::vector<size_t> group_of_tensor;

  const TensorGroup* Find(std::string_view module) const;  // nullptr when there is none
};

// Every tensor is in exactly one group, but for stored ones that were split into others: none. A
// scale without a weight is a group of its own, without values; a parameter that is merely called
// "scale" is one with them.
TensorGroups GroupTensors(const Checkpoint& checkpoint);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_TENSOR_GROUP_H_

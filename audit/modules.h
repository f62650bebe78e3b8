// The tensors of a checkpoint grouped by module, without any check: rules look at what is there.
#ifndef VERNIER_AUDIT_MODULES_H_
#define VERNIER_AUDIT_MODULES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/families/family.h"
#include "checkpoint/logical_weight.h"

namespace vernier::audit {

// What a module's weight is by its dtype and the scales beside it, right or wrong.
using StoredFormat = checkpoint::WeightFormat;

inline constexpr size_t kAbsent = checkpoint::Checkpoint::kNotFound;

inline constexpr std::string_view kPackedSuffix = ".weight_packed";

// FP8, MXFP, NVFP4 or INT4: neither plain nor not understood.
bool IsQuantised(StoredFormat format);

// Indices into Checkpoint::tensors(), kAbsent where there is no such tensor. Where two names are
// given, the first is ModelOpt's and the second compressed-tensors'.
struct Module {
  std::string name;  // without ".weight"
  StoredFormat format = StoredFormat::kOpaque;
  checkpoint::TensorMeaning meaning;
  size_t weight = kAbsent;        // X.weight or X.weight_packed
  size_t scale = kAbsent;         // X.scale
  size_t scale_inv = kAbsent;     // X.weight_scale_inv
  size_t block_scale = kAbsent;   // X.weight_scale
  size_t global_scale = kAbsent;  // X.weight_scale_2 or X.weight_global_scale
  size_t input_scale = kAbsent;   // X.input_scale or X.input_global_scale
  size_t packed_shape = kAbsent;  // X.weight_shape

  bool IsMtp() const { return meaning.role == checkpoint::Role::kMtp; }
  // A routed expert's weight outside MTP layers.
  bool IsMainExpert() const { return meaning.role == checkpoint::Role::kRoutedExpert; }
  // The scales of a released FP8 or MXFP4 weight, whichever of the two names they have.
  size_t NativeScale() const { return scale != kAbsent ? scale : scale_inv; }
  // The scales of the weight, under any of their three names.
  size_t AnyScale() const { return block_scale != kAbsent ? block_scale : NativeScale(); }
  // All tensors present, the weight first.
  std::vector<size_t> Tensors() const;
};

struct ModuleIndex {
  std::vector<Module> modules;  // in order of their first tensors
  std::unordered_map<std::string, size_t> by_name;
  std::vector<size_t> module_of_tensor;  // parallel to Checkpoint::tensors()

  const Module* Find(std::string_view name) const;
};

ModuleIndex IndexModules(const checkpoint::Checkpoint& checkpoint,
                         const checkpoint::Family& family);

// "layers.3.ffn.experts.7.w1" -> "layers.3.ffn.experts", what engines build as one module; empty
// for anything else.
std::string_view ExpertContainer(std::string_view module);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_MODULES_H_

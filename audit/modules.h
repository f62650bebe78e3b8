// The tensors of a checkpoint grouped by module, without any check: rules look at what is there.
#ifndef VERNIER_AUDIT_MODULES_H_
#define VERNIER_AUDIT_MODULES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/name_index.h"
#include "checkpoint/block_size.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/families/family.h"
#include "checkpoint/formats/codec.h"
#include "checkpoint/logical_weight.h"

namespace vernier::audit {

// What a module's weight is by its dtype and the scales beside it, right or wrong
// (checkpoint/formats/codec.h).
using StoredFormat = checkpoint::Format;
namespace formats = checkpoint::formats;

using checkpoint::IsQuantised;

// Whether the rules know what tensors of this format must look like: plain ones, tables, and what
// Vernier reads.
bool IsJudged(StoredFormat format);

inline constexpr size_t kAbsent = checkpoint::Checkpoint::kNotFound;

// Indices into Checkpoint::tensors(), kAbsent where there is no such tensor. Where two names are
// given, the first is ModelOpt's and the second compressed-tensors'.
struct Module {
  std::string name;  // without ".weight"
  StoredFormat format = formats::kOpaque;
  // `linear` only where the weight has two dimensions.
  checkpoint::TensorMeaning meaning;
  size_t weight = kAbsent;            // X.weight or X.weight_packed, or a tensor called X
  size_t scale = kAbsent;             // X.scale
  size_t scale_inv = kAbsent;         // X.weight_scale_inv
  size_t block_scale = kAbsent;       // X.weight_scale
  size_t global_scale = kAbsent;      // X.weight_scale_2 or X.weight_global_scale
  size_t input_scale = kAbsent;       // X.input_scale or X.input_global_scale
  size_t activation_scale = kAbsent;  // X.activation_scale, of Mistral's FP8
  size_t packed_shape = kAbsent;      // X.weight_shape
  size_t zero_point = kAbsent;        // X.weight_zero_point
  std::vector<size_t> tensors;        // all that are present, the weight first

  bool IsMtp() const { return meaning.role == checkpoint::Role::kMtp; }
  // A routed expert's weight outside MTP layers.
  bool IsMainExpert() const { return meaning.role == checkpoint::Role::kRoutedExpert; }
  // The scales of a released FP8 or MXFP4 weight, whichever of the two names they have.
  size_t NativeScale() const { return scale != kAbsent ? scale : scale_inv; }
  // The scales of the weight, under any of their three names.
  size_t AnyScale() const { return block_scale != kAbsent ? block_scale : NativeScale(); }
};

struct ModuleIndex {
  std::vector<Module> modules;  // in order of their first tensors
  NameIndex by_name;
  std::vector<size_t> module_of_tensor;  // parallel to Checkpoint::tensors()
  // Of weights in FP8 blocks, whatever the dialect (checkpoint/block_size.h).
  checkpoint::BlockSize fp8_block = {};

  const Module* Find(std::string_view name) const;
};

ModuleIndex IndexModules(const checkpoint::Checkpoint& checkpoint,
                         const checkpoint::Family& family);

// Whether a module is a tensor of three dimensions that holds all experts of a layer.
bool StacksExperts(const checkpoint::Checkpoint& checkpoint, const Module& module);

// "layers.3.ffn.experts.7.w1" and "layers.3.mlp.experts.gate_up_proj" -> "layers.3.ffn.experts",
// what engines build as one module; empty for anything else.
std::string_view ExpertContainer(std::string_view module);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_MODULES_H_

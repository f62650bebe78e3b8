// Logical weights: what a tensor means, whatever format its bytes have.
#ifndef VERNIER_CHECKPOINT_LOGICAL_WEIGHT_H_
#define VERNIER_CHECKPOINT_LOGICAL_WEIGHT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/formats/format.h"

namespace vernier::checkpoint {

// What a weight is for. The names are those of recipes and reports.
enum class Role {
  kEmbedding,
  kLmHead,
  kNorm,
  kAttention,
  kLinearAttention,  // of layers that keep a state and no keys: delta nets
  kAttentionAux,     // sinks and the like: never quantised
  kIndexer,
  kCompressor,
  kRouter,
  kDenseMlp,
  kSharedExpert,
  kRoutedExpert,
  kHyperConnection,
  kTower,  // everything of vision and audio encoders and of what projects their output
  kMtp,    // everything of a multi-token-prediction layer
  kOther,  // not understood by the family
};
inline constexpr int kRoleCount = static_cast<int>(Role::kOther) + 1;
std::string_view RoleName(Role role);                  // "routed_expert"
bool RoleFromName(std::string_view name, Role* role);  // false for an unknown name

// One weight with its physical parts, as indices into Checkpoint::tensors().
struct LogicalWeight {
  // "layers.0.attn.wq_a.weight": the main tensor's name, but for X.weight_packed and X.qweight
  // "X.weight".
  std::string name;
  std::string module;          // name without ".weight": "layers.0.attn.wq_a"
  std::vector<int64_t> shape;  // of the dequantised values
  Format format = formats::kOpaque;
  Role role = Role::kOther;
  int layer = -1;   // decoder layer, or -1; for MTP the index of the MTP layer
  int expert = -1;  // routed expert, or -1
  // Weights of one group are consumed as one fused matrix: they share the global weight scale and
  // the input scale. Empty: alone.
  std::string fused_group;
  // A part of a tensor that stacks a layer's experts (stacks.h).
  bool in_stack = false;
  // A matrix that is applied to an activation: the weight of what engines build as a linear layer.
  bool linear = false;
  // What a linear layer is called in its attention, MLP or expert: "q_proj", "w2". Empty: none.
  std::string projection;
  // Of a routed expert's weight, or a stack of all: the module that holds all experts of the layer,
  // "layers.0.ffn.experts".
  std::string experts_module;
  // Too small or too delicate for fewer bits: engines and tools keep such weights as released.
  bool keeps_precision = false;

  size_t main = 0;
  size_t scale = Checkpoint::kNotFound;         // block scales
  size_t global_scale = Checkpoint::kNotFound;  // of NVFP4
  size_t input_scale = Checkpoint::kNotFound;   // static activation scale of NVFP4 and FP8
  size_t packed_shape = Checkpoint::kNotFound;  // INT4: the shape as a tensor
  size_t zero_point = Checkpoint::kNotFound;    // asymmetric INT4
  std::vector<size_t> others = {};              // of formats that are not read
  // The global scale, and NVFP4's input scale, divide where others multiply (compressed-tensors).
  bool global_scale_is_divisor = false;
  // Elements that share a scale: all of them for kFp8Tensor, a row for kFp8Channel.
  int64_t block_rows = 1;
  int64_t block_columns = 1;

  int64_t rows() const { return shape.empty() ? 1 : shape[0]; }
  int64_t columns() const { return shape.size() < 2 ? 1 : shape[1]; }
  // A rule may give it a format with fewer bits.
  bool quantisable() const { return linear && !keeps_precision; }
  // All experts of a layer in one tensor of three dimensions.
  bool stacks_experts() const {
    return role == Role::kRoutedExpert && expert < 0 && shape.size() == 3;
  }
  // What its rows are decoded with, beside main and scale; kNotFound where there is none.
  std::array<size_t, 2> whole_parts() const { return {global_scale, zero_point}; }
  // The indices of all parts present, main first.
  std::vector<size_t> Parts() const;
};

// "[512, 128]"
std::string ShapeText(const std::vector<int64_t>& shape);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_LOGICAL_WEIGHT_H_

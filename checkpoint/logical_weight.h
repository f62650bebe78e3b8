// Logical weights: what a tensor means, whatever format its bytes have.
#ifndef VERNIER_CHECKPOINT_LOGICAL_WEIGHT_H_
#define VERNIER_CHECKPOINT_LOGICAL_WEIGHT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace vernier::checkpoint {

enum class WeightFormat {
  kPlain,       // BF16, F16 or F32
  kInteger,     // I64, I32 ... tables: copied, never dequantised
  kFp8Tensor,   // F8_E4M3 with one scale
  kFp8Channel,  // F8_E4M3 with a scale per row
  kFp8Block,    // F8_E4M3 with a scale per block of rows x columns
  kMxfp8,       // F8_E4M3 with E8M0 per 32 columns
  kMxfp4,       // I8/U8 nibbles with E8M0 per 32 columns
  kNvfp4,       // U8 nibbles with E4M3 per 16 columns and an F32 global scale
  kInt4,        // I32 of eight symmetric 4-bit integers, with a float scale per group of columns
  kOpaque,      // not understood: copied, never dequantised
};
std::string_view WeightFormatName(WeightFormat format);

// What a weight is for. The names are those of recipes and reports.
enum class Role {
  kEmbedding,
  kLmHead,
  kNorm,
  kAttention,
  kAttentionAux,  // sinks and the like: never quantised
  kIndexer,
  kCompressor,
  kRouter,
  kDenseMlp,
  kSharedExpert,
  kRoutedExpert,
  kHyperConnection,
  kMtp,    // everything of a multi-token-prediction layer
  kOther,  // not understood by the family
};
inline constexpr int kRoleCount = static_cast<int>(Role::kOther) + 1;
std::string_view RoleName(Role role);                  // "routed_expert"
bool RoleFromName(std::string_view name, Role* role);  // false for an unknown name

// One weight with its physical parts, as indices into Checkpoint::tensors().
struct LogicalWeight {
  // "layers.0.attn.wq_a.weight": the main tensor's name, but for X.weight_packed "X.weight".
  std::string name;
  std::string module;          // name without ".weight": "layers.0.attn.wq_a"
  std::vector<int64_t> shape;  // of the dequantised values
  WeightFormat format = WeightFormat::kOpaque;
  Role role = Role::kOther;
  int layer = -1;   // decoder layer, or -1; for MTP the index of the MTP layer
  int expert = -1;  // routed expert, or -1
  // Weights of one group are consumed as one fused matrix: they share the global weight scale and
  // the input scale. Empty: alone.
  std::string fused_group;
  // True for a 2-D weight that is applied to an activation as a linear layer: what may be
  // quantised.
  bool linear = false;

  size_t main = 0;
  size_t scale = Checkpoint::kNotFound;         // block scales
  size_t global_scale = Checkpoint::kNotFound;  // of NVFP4
  size_t input_scale = Checkpoint::kNotFound;   // static activation scale of NVFP4 and FP8
  size_t packed_shape = Checkpoint::kNotFound;  // INT4: the shape as a tensor
  // The global scale, and NVFP4's input scale, divide where others multiply (compressed-tensors).
  bool global_scale_is_divisor = false;
  // Elements that share a scale: all of them for kFp8Tensor, a row for kFp8Channel.
  int64_t block_rows = 1;
  int64_t block_columns = 1;

  int64_t rows() const { return shape.empty() ? 1 : shape[0]; }
  int64_t columns() const { return shape.size() < 2 ? 1 : shape[1]; }
  // The indices of all parts present, main first.
  std::vector<size_t> Parts() const;
};

// "[512, 128]"
std::string ShapeText(const std::vector<int64_t>& shape);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_LOGICAL_WEIGHT_H_

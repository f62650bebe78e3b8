// Where a factor per channel may move from what makes the input of linear layers into their
// weights.
#ifndef VERNIER_CHECKPOINT_FAMILIES_FOLD_H_
#define VERNIER_CHECKPOINT_FAMILIES_FOLD_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vernier::checkpoint {

struct ModelLayout;

// A file beside a checkpoint with the factors of its folds, F32: by it an audit tells the source's
// values from the output's. Named unlike files of tensors, all of which some engines read.
inline constexpr std::string_view kFoldsFileName = "vernier_folds.f32";

enum class FoldKind {
  kNorm,   // the weight of a norm, into all that reads what it makes
  kValue,  // rows of v_proj, into o_proj: attention is linear in them
  kUp,     // rows of up_proj, into down_proj: silu(gate) * up is linear in them
};
std::string_view FoldKindName(FoldKind kind);  // "norm", "value", "up"

// The producers divide channel c by s_c and the consumers multiply its column by it: what the model
// computes does not change, but in the rounding of what is stored.
struct Fold {
  FoldKind kind = FoldKind::kNorm;
  std::string name = {};  // the module of the first producer: no two folds have the same
  int layer = -1;
  int64_t channels = 0;
  // Indices into ModelLayout::weights: vectors of `channels` elements, or matrices of so many rows.
  std::vector<size_t> producers = {};
  // What the model adds to the first producer's stored values, and what is divided with it.
  float added = 0;
  // The same: matrices of `channels` columns, or `repeats` times as many. All that reads the
  // producer's output.
  std::vector<size_t> consumers = {};
  // Query heads share the values of a head: column c of o_proj belongs to channel ChannelOf(c).
  int64_t head_dim = 0;  // 0: columns are channels
  int64_t repeats = 1;

  int64_t columns() const { return channels * repeats; }
  int64_t ChannelOf(int64_t column) const {
    if (head_dim == 0) return column;
    return column / (head_dim * repeats) * head_dim + column % head_dim;
  }
};

// The fold of these modules: of a norm or linear layer with its bias, if it has one. Nothing is
// added to `folds` unless all weights are there.
void AddFold(const ModelLayout& layout, Fold fold, const std::string& producer,
             const std::vector<std::string>& consumers, std::vector<Fold>& folds);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_FOLD_H_

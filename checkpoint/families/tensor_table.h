// A model's tensors as data, a row each: what its family knows of every tensor that the config
// implies.
#ifndef VERNIER_CHECKPOINT_FAMILIES_TENSOR_TABLE_H_
#define VERNIER_CHECKPOINT_FAMILIES_TENSOR_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "checkpoint/families/gguf_tensor.h"
#include "checkpoint/families/tensor_meaning.h"

namespace vernier::checkpoint {

struct ModelLayout;

// How a release stores a tensor.
enum class ReleasedStorage {
  kBf16,
  kF32,
  kFp8,          // E4M3 with an E8M0 scale per 128 x 128
  kMxfp4,        // two E2M1 nibbles an I8, with an E8M0 scale per 32 columns
  kExpertTable,  // I64: each token's experts, of hash-routed layers
};

struct TensorRow {
  // Of the main tensor, be it one of its own or a part of a stack (Family::Stacks).
  std::string name;
  std::vector<int64_t> shape;  // of the dequantised values; of an expert, not of its stack
  TensorMeaning meaning;
  ReleasedStorage stored = ReleasedStorage::kBf16;
  GgufTensor gguf = {};
};

// Rows as a family adds them, in the order in which the model uses its tensors.
class TensorRows {
 public:
  // What the rows that follow are part of.
  struct Place {
    int layer = -1;
    bool mtp = false;  // their role is kMtp
  };
  void Enter(Place place) { place_ = place; }

  // A tensor that is no linear layer's weight.
  TensorRow& Add(std::string name, std::vector<int64_t> shape, Role role);
  // `module`.`projection`.weight [rows, columns]. Those with one `group` are fused by engines.
  TensorRow& AddLinear(const std::string& module, std::string_view projection, int64_t rows,
                       int64_t columns, Role role, std::string_view group = {});

  std::vector<TensorRow>& rows() { return rows_; }
  std::vector<TensorRow> Take() && { return std::move(rows_); }

 private:
  Place place_;
  std::vector<TensorRow> rows_;
};

class TensorTable {
 public:
  explicit TensorTable(std::vector<TensorRow> rows);
  TensorTable(TensorTable&&) = default;
  TensorTable& operator=(TensorTable&&) = default;

  const std::vector<TensorRow>& rows() const { return rows_; }
  const TensorRow* Find(std::string_view name) const;  // nullptr when there is none

  // Names of all but MTP layers' tensors.
  std::vector<std::string> Required() const;
  // kWrongShape when a weight of `layout` has another shape than its row. Tensors that are not
  // there are fine.
  void CheckShapes(const ModelLayout& layout) const;

 private:
  std::vector<TensorRow> rows_;
  std::unordered_map<std::string_view, size_t> by_name_;  // views of rows_
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_TENSOR_TABLE_H_

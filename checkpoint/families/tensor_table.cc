#include "checkpoint/families/tensor_table.h"

#include <utility>

#include "checkpoint/families/family.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/tensor_group.h"

namespace vernier::checkpoint {

TensorRow& TensorRows::Add(std::string name, std::vector<int64_t> shape, Role role) {
  TensorRow& row = rows_.emplace_back();
  row.name = std::move(name);
  row.shape = std::move(shape);
  row.meaning.role = place_.mtp ? Role::kMtp : role;
  row.meaning.layer = place_.layer;
  return row;
}

TensorRow& TensorRows::AddLinear(const std::string& module, std::string_view projection,
                                 int64_t rows, int64_t columns, Role role, std::string_view group) {
  const std::string prefix = module.empty() ? module : module + ".";
  TensorRow& row =
      Add(prefix + std::string(projection).append(kWeightSuffix), {rows, columns}, role);
  row.meaning.linear = true;
  row.meaning.projection = projection;
  if (!group.empty()) row.meaning.fused_group = prefix + std::string(group);
  return row;
}

TensorTable::TensorTable(std::vector<TensorRow> rows) : rows_(std::move(rows)) {
  by_name_.reserve(rows_.size());
  for (size_t i = 0; i < rows_.size(); ++i) by_name_.emplace(rows_[i].name, i);
}

const TensorRow* TensorTable::Find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &rows_[found->second];
}

std::vector<std::string> TensorTable::Required() const {
  std::vector<std::string> names;
  for (const TensorRow& row : rows_) {
    if (row.meaning.role != Role::kMtp) names.push_back(row.name);
  }
  return names;
}

void TensorTable::CheckShapes(const ModelLayout& layout) const {
  for (const TensorRow& row : rows_) {
    const LogicalWeight* weight = layout.FindName(row.name);
    if (weight != nullptr) RequireWeightShape(*weight, row.shape);
  }
}

}  // namespace vernier::checkpoint

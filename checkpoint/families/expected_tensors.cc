#include "checkpoint/families/expected_tensors.h"

#include "checkpoint/model_layout.h"

namespace vernier::checkpoint {

std::vector<std::string> NamesOf(const std::vector<ExpectedTensor>& tensors) {
  std::vector<std::string> names;
  names.reserve(tensors.size());
  for (const ExpectedTensor& tensor : tensors) names.push_back(tensor.name);
  return names;
}

void CheckExpectedShapes(const std::vector<ExpectedTensor>& tensors, const ModelLayout& layout) {
  for (const ExpectedTensor& expected : tensors) {
    const LogicalWeight* weight = layout.FindName(expected.name);
    if (weight != nullptr) RequireWeightShape(*weight, expected.shape);
  }
}

}  // namespace vernier::checkpoint

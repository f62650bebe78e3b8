// The tensors that a config.json implies.
#ifndef VERNIER_CHECKPOINT_FAMILIES_EXPECTED_TENSORS_H_
#define VERNIER_CHECKPOINT_FAMILIES_EXPECTED_TENSORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/families/family.h"

namespace vernier::checkpoint {

struct ExpectedTensor {
  std::string name;            // of the main tensor
  std::vector<int64_t> shape;  // of the dequantised values
};

std::vector<std::string> NamesOf(const std::vector<ExpectedTensor>& tensors);

// kWrongShape when a weight of `layout` has another shape than the expected tensor of its name.
// Tensors that are not there are fine.
void CheckExpectedShapes(const std::vector<ExpectedTensor>& tensors, const ModelLayout& layout);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_EXPECTED_TENSORS_H_

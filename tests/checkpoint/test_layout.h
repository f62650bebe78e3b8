// What tests of weight formats share: a family without opinions, and tensors of zeros.
#ifndef VERNIER_TESTS_CHECKPOINT_TEST_LAYOUT_H_
#define VERNIER_TESTS_CHECKPOINT_TEST_LAYOUT_H_

#include <string>
#include <utility>
#include <vector>

#include "checkpoint/families/family.h"
#include "tests/support/synthetic_checkpoint.h"

namespace vernier::testing {

// Calls every "*.weight" a linear layer.
class LinearFamily : public checkpoint::Family {
 public:
  std::string_view model_type() const override { return "test"; }
  checkpoint::TensorMeaning Classify(std::string_view name) const override {
    checkpoint::TensorMeaning meaning;
    meaning.role = checkpoint::Role::kDenseMlp;
    meaning.linear = name.ends_with(".weight");
    return meaning;
  }
  checkpoint::ModelDims Dims() const override { return {}; }
  std::vector<checkpoint::ConfigPatch> PatchConfig(Json& /*config*/) const override { return {}; }
  std::vector<std::string> RequiredTensors() const override { return {}; }
  void CheckShapes(const checkpoint::ModelLayout& /*layout*/) const override {}
};

inline TestTensor Zeros(std::string name, checkpoint::DType dtype, std::vector<int64_t> shape) {
  checkpoint::TensorSpec spec{std::move(name), dtype, std::move(shape)};
  std::vector<std::byte> bytes(checkpoint::SpecBytes(spec));
  return {std::move(spec), std::move(bytes)};
}

inline std::vector<TestTensor> Without(std::vector<TestTensor> tensors, size_t index) {
  tensors.erase(tensors.begin() + static_cast<ptrdiff_t>(index));
  return tensors;
}

inline std::vector<TestTensor> Replace(std::vector<TestTensor> tensors, size_t index,
                                       TestTensor tensor) {
  tensors[index] = std::move(tensor);
  return tensors;
}

inline std::vector<TestTensor> With(std::vector<TestTensor> tensors, TestTensor tensor) {
  tensors.push_back(std::move(tensor));
  return tensors;
}

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_CHECKPOINT_TEST_LAYOUT_H_

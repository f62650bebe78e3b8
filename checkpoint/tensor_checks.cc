#include "checkpoint/tensor_checks.h"

#include <algorithm>

#include "base/text.h"
#include "checkpoint/logical_weight.h"

namespace vernier::checkpoint {

void TensorChecks::Fail(ErrorCode code, size_t tensor, const std::string& problem) const {
  throw Error(code, Info(tensor).name, problem,
              "Check that the checkpoint is complete and in a format that Vernier reads");
}

void TensorChecks::RequireDtype(size_t tensor, std::initializer_list<DType> allowed) const {
  const DType dtype = Info(tensor).dtype;
  if (std::find(allowed.begin(), allowed.end(), dtype) != allowed.end()) return;
  std::vector<std::string> names;
  for (const DType each : allowed) names.emplace_back(DTypeName(each));
  Fail(ErrorCode::kWrongDtype, tensor,
       "is " + Info(tensor).dtype_name + " instead of " + JoinNames(names, " or "));
}

void TensorChecks::RequireShape(size_t tensor, const std::vector<int64_t>& expected) const {
  if (Info(tensor).shape == expected) return;
  Fail(ErrorCode::kWrongShape, tensor,
       "has the shape " + ShapeText(Info(tensor).shape) + " instead of " + ShapeText(expected));
}

void TensorChecks::RequireMatrix(size_t tensor) const {
  if (Info(tensor).shape.size() == 2) return;
  Fail(ErrorCode::kWrongShape, tensor,
       "is quantised and has the shape " + ShapeText(Info(tensor).shape) +
           " instead of two dimensions");
}

void TensorChecks::RequireScalar(size_t tensor, std::initializer_list<DType> allowed) const {
  RequireDtype(tensor, allowed);
  if (!Info(tensor).shape.empty()) RequireShape(tensor, {1});
}

}  // namespace vernier::checkpoint

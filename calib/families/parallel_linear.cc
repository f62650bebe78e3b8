#include "calib/families/parallel_linear.h"

namespace vernier::calib {

ParallelLinear::ParallelLinear(const TensorLoader& loader, const std::vector<std::string>& modules,
                               bool bias)
    : fused_(false) {
  for (const std::string& module : modules) parts_.emplace_back(loader, module, bias);
}

ParallelLinear::ParallelLinear(const TensorLoader& loader, const std::string& module,
                               const std::vector<int64_t>& rows, bool bias)
    : fused_(true) {
  const LinearLayer whole(loader, module, bias);
  int64_t begin = 0;
  for (const int64_t count : rows) {
    parts_.push_back(whole.Rows(begin, begin + count));
    begin += count;
  }
}

std::vector<at::Tensor> ParallelLinear::TakeInputs(const at::Tensor& x, const TokenBatch& batch,
                                                   Tap& tap) const {
  if (fused_) return {parts_.size(), parts_.front().TakeInput(x, batch, tap)};
  std::vector<at::Tensor> inputs;
  for (const LinearLayer& part : parts_) inputs.push_back(part.TakeInput(x, batch, tap));
  return inputs;
}

}  // namespace vernier::calib

#include "tests/calib/deepseek_v4_support.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

namespace vernier::calib {

double MiniModelPerplexity(at::ScalarType compute_dtype, int64_t windows) {
  const c10::InferenceMode inference;
  const TestModel model(kMiniModel, compute_dtype);
  const at::Tensor ids = ReadTensors(kMiniReference / "val_ids.safetensors")
                             .at("val_ids")
                             .slice(0, 0, windows * kEvalWindow)
                             .to(at::kLong)
                             .view({windows, kEvalWindow});
  constexpr int64_t kBatch = 8;
  constexpr int64_t kQueryChunk = 128;
  double total = 0;
  for (int64_t begin = 0; begin < windows; begin += kBatch) {
    const at::Tensor batch = ids.slice(0, begin, std::min(begin + kBatch, windows));
    const at::Tensor logits = RunModel(*model.decoder, {batch, {}}, kQueryChunk).logits;
    const at::Tensor likelihood = at::log_softmax(logits.slice(1, 0, kEvalWindow - 1), -1)
                                      .gather(-1, batch.slice(1, 1).unsqueeze(-1));
    total -= likelihood.mean().item<double>() * static_cast<double>(batch.size(0));
  }
  return std::exp(total / static_cast<double>(windows));
}

}  // namespace vernier::calib

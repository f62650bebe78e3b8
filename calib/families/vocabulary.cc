#include "calib/families/vocabulary.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "calib/families/linear.h"

namespace vernier::calib {
namespace {

// Rows of the projection that are widened at once.
constexpr int64_t kProjectionRows = 8192;

void RequireTokenIds(const at::Tensor& ids, int64_t vocab_size) {
  const int64_t lowest = ids.min().item<int64_t>();
  const int64_t highest = ids.max().item<int64_t>();
  if (lowest >= 0 && highest < vocab_size) return;
  throw Error(ErrorCode::kBadTokenIds, "token id " + std::to_string(lowest < 0 ? lowest : highest),
              "lies outside the vocabulary of " + std::to_string(vocab_size) + " tokens",
              "Use ids of the checkpoint's own tokenizer");
}

}  // namespace

at::Tensor EmbedTokens(const TensorLoader& loader, std::string_view name, int64_t vocab_size,
                       const at::Tensor& ids) {
  const at::Tensor host_ids = ids.cpu();
  RequireTokenIds(host_ids, vocab_size);
  return loader.LoadRows(name, host_ids.reshape({-1})).view({ids.size(0), ids.size(1), -1});
}

at::Tensor ProjectToVocabulary(const at::Tensor& x, const at::Tensor& projection) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = projection.size(0);
  at::Tensor logits = at::empty(shape, x.options().dtype(at::kFloat));
  for (int64_t begin = 0; begin < projection.size(0); begin += kProjectionRows) {
    const int64_t end = std::min(begin + kProjectionRows, projection.size(0));
    logits.slice(-1, begin, end).copy_(LinearF32(x, projection.slice(0, begin, end)));
  }
  return logits;
}

}  // namespace vernier::calib

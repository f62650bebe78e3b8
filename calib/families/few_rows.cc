#include "calib/families/few_rows.h"

#include <ATen/Parallel.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quantizers/dot.h"

namespace vernier::calib {
namespace {

// Weights that all rows of x meet before the next ones: they stay in a core's cache.
constexpr int64_t kBlockWeights = 64 << 10;
// For fewer a thread of its own is not worth its start.
constexpr int64_t kThreadWeights = 64 << 10;

// The rows up to which both ways take about the same time, for weights that a cache holds; larger
// ones gain from more.
int64_t MostRows(at::ScalarType weights) { return weights == at::kBFloat16 ? 8 : 4; }

// Elements [begin, begin + count) of a contiguous tensor.
template <typename Element>
auto Elements(const at::Tensor& tensor, int64_t begin, int64_t count) {
  return std::span(tensor.data_ptr<Element>() + begin, static_cast<size_t>(count));
}

quantizers::RealSpan WeightRows(const at::Tensor& w, int64_t begin, int64_t count) {
  const int64_t k = w.size(1);
  if (w.scalar_type() == at::kFloat) return Elements<float>(w, begin * k, count * k);
  const auto bf16 = Elements<at::BFloat16>(w, begin * k, count * k);
  return std::span(reinterpret_cast<const uint16_t*>(bf16.data()), bf16.size());
}

// Columns [begin, end) of y = x w^T.
void MultiplyColumns(const at::Tensor& x, const at::Tensor& w, int64_t begin, int64_t end,
                     const at::Tensor& y) {
  const int64_t k = x.size(1), block = std::max<int64_t>(kBlockWeights / k, 1);
  for (; begin < end; begin += block) {
    const int64_t count = std::min(block, end - begin);
    for (int64_t row = 0; row < x.size(0); ++row) {
      quantizers::MultiplyRows(Elements<float>(x, row * k, k), WeightRows(w, begin, count),
                               Elements<float>(y, row * w.size(0) + begin, count));
    }
  }
}

}  // namespace

bool IsOfFewRows(const at::Tensor& x, const at::Tensor& w) {
  return w.device().is_cpu() && x.size(0) <= MostRows(w.scalar_type());
}

at::Tensor MultiplyFewRows(const at::Tensor& x, const at::Tensor& w) {
  const at::Tensor rows = x.contiguous(), weights = w.contiguous();
  const int64_t columns = w.size(0);
  const at::Tensor y = at::empty({x.size(0), columns}, x.options());
  // Hundreds of such products make a token. A thread of TBB's that wakes late finds its part done;
  // OpenMP's, which row_tiles has, would spin in between and be waited for.
  const int64_t threads = std::clamp<int64_t>(w.numel() / kThreadWeights, 1, at::get_num_threads());
  tbb::parallel_for(int64_t{0}, threads, [&](int64_t thread) {
    MultiplyColumns(rows, weights, columns * thread / threads, columns * (thread + 1) / threads, y);
  });
  return y;
}

}  // namespace vernier::calib

#include "calib/square_sums.h"

#include <cassert>
#include <cstdint>
#include <limits>
#include <span>

#include "calib/families/row_tiles.h"
#include "calib/reals.h"
#include "quantizers/square_sums.h"

namespace vernier::calib {
namespace {

// Columns of a thread's turn, and values for which one thread suffices.
constexpr int64_t kColumns = 128, kFewValues = 1 << 14;

void AddOnCpu(const at::Tensor& x, const at::Tensor& sums) {
  const int64_t rows = x.size(0), columns = x.size(1);
  const int64_t tile = x.numel() <= kFewValues ? columns : kColumns;
  ForRowTiles(at::kCPU, columns, tile, [&](int64_t begin, int64_t end) {
    quantizers::AddSquares(RealsOf(x, begin, (rows - 1) * columns + end - begin),
                           static_cast<size_t>(columns),
                           {sums.data_ptr<double>() + begin, static_cast<size_t>(end - begin)});
  });
}

}  // namespace

void AddSquares(const at::Tensor& x, const at::Tensor& sums) {
  assert(x.dim() == 2 && x.size(0) > 0 && sums.scalar_type() == at::kDouble);
  if (x.is_cpu()) return AddOnCpu(x.contiguous(), sums);
  // One pass over x and no copy of it. Squares of finite values that F32 has no room for count as
  // its largest value's; whether the input is finite is for the largest magnitude to say.
  const at::Tensor norms =
      at::linalg_vector_norm(x, 2, at::IntArrayRef{0}, /*keepdim=*/false, at::kFloat)
          .clamp_max(std::numeric_limits<float>::max())
          .to(at::kDouble);
  sums.addcmul_(norms, norms);
}

}  // namespace vernier::calib

#include "calib/block_hessians.h"

#include <cassert>
#include <cstdint>
#include <span>
#include <vector>

#include "calib/budget/loop_constants.h"
#include "calib/families/row_tiles.h"
#include "calib/reals.h"
#include "quantizers/outer_products.h"

namespace vernier::calib {
namespace {

constexpr auto kBlock = static_cast<int64_t>(quantizers::kOuterBlock);
constexpr auto kTriangle = static_cast<int64_t>(quantizers::kOuterTriangle);
// Blocks of a thread's turn, and values for which one thread suffices.
constexpr int64_t kBlocks = 8, kFewValues = 1 << 12;

void AddBlocksOnCpu(const at::Tensor& x, const at::Tensor& sums) {
  const int64_t rows = x.size(0), columns = x.size(1), blocks = columns / kBlock;
  const int64_t tile = x.numel() <= kFewValues ? blocks : kBlocks;
  ForRowTiles(at::kCPU, blocks, tile, [&](int64_t begin, int64_t end) {
    const int64_t values = (rows - 1) * columns + (end - begin) * kBlock;
    quantizers::AddOuterProducts(RealsOf(x, begin * kBlock, values), static_cast<size_t>(columns),
                                 {sums.data_ptr<float>() + begin * kTriangle,
                                  static_cast<size_t>((end - begin) * kTriangle)});
  });
}

// Where a triangle's elements are in a whole matrix, on `device`.
at::Tensor TriangleIndices(at::Device device) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < kBlock; ++i) {
    for (int64_t j = i; j < kBlock; ++j) indices.push_back(i * kBlock + j);
  }
  return at::tensor(indices, at::kLong).to(device);
}

// A tile of rows at a time, so that its F32 copy is small.
void AddBlocksOnDevice(const at::Tensor& x, const at::Tensor& sums) {
  const int64_t blocks = x.size(1) / kBlock;
  at::Tensor matrices = at::zeros({blocks, kBlock, kBlock}, sums.options());
  for (int64_t begin = 0; begin < x.size(0); begin += kDeviceProductRows) {
    const at::Tensor tile = x.slice(0, begin, begin + kDeviceProductRows).to(at::kFloat);
    const at::Tensor rows = tile.view({-1, blocks, kBlock});
    matrices.baddbmm_(rows.permute({1, 2, 0}), rows.permute({1, 0, 2}));
  }
  const at::Tensor triangles =
      matrices.view({blocks, kBlock * kBlock}).index_select(1, TriangleIndices(x.device()));
  sums.add_(triangles.flatten().nan_to_num_(0, kMostOfOneCall, -kMostOfOneCall));
}

}  // namespace

void AddBlockHessians(const at::Tensor& x, const at::Tensor& sums) {
  assert(x.dim() == 2 && x.size(0) > 0 && x.size(1) % kBlock == 0);
  assert(sums.scalar_type() == at::kFloat && sums.numel() == x.size(1) / kBlock * kTriangle);
  if (!x.is_cpu()) return AddBlocksOnDevice(x, sums);
  AddBlocksOnCpu(x.contiguous(), sums);
  // What F32 had no room for; whether the input is finite is for the largest magnitude to say.
  sums.nan_to_num_(0, kMostOfOneCall, -kMostOfOneCall);
}

}  // namespace vernier::calib

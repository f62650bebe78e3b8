#include "calib/block_hessians.h"

#include <cassert>
#include <cstdint>
#include <span>

#include "calib/f32_products.h"
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

// Columns of a panel: its whole matrix is made and the blocks beside the diagonal are not used,
// because products of 16 columns keep a device busy with little else than their start.
int64_t PanelColumns(int64_t columns) {
  int64_t panel = 128;
  while (columns % panel != 0) panel /= 2;
  return panel;
}

// Of matrices [B, 16, 16] the upper triangles row by row [B, 136].
at::Tensor Triangles(const at::Tensor& matrices) {
  const at::Tensor places =
      at::triu_indices(kBlock, kBlock, 0, at::dtype(at::kLong).device(matrices.device()));
  return matrices.flatten(1).index_select(1, places[0] * kBlock + places[1]);
}

void AddBlocksOnDevice(const at::Tensor& x, const at::Tensor& sums) {
  const int64_t columns = x.size(1), panel = PanelColumns(columns), blocks = panel / kBlock;
  const at::Tensor panels = x.view({-1, columns / panel, panel});
  const at::Tensor whole = F32Products(panels.permute({1, 2, 0}), panels.permute({1, 0, 2}));
  const at::Tensor matrices = whole.view({-1, blocks, kBlock, blocks, kBlock})
                                  .diagonal(0, 1, 3)
                                  .permute({0, 3, 1, 2})
                                  .reshape({-1, kBlock, kBlock});
  sums.add_(Triangles(matrices).flatten().nan_to_num_(0, kMostOfOneCall, -kMostOfOneCall));
}

}  // namespace

void AddBlockHessians(const at::Tensor& x, const at::Tensor& sums) {
  assert(x.dim() == 2 && x.size(0) > 0 && x.size(1) % kBlock == 0);
  assert(sums.scalar_type() == at::kFloat && sums.numel() == x.size(1) / kBlock * kTriangle);
  if (!x.is_cpu()) return AddBlocksOnDevice(x.contiguous(), sums);
  AddBlocksOnCpu(x.contiguous(), sums);
  // What F32 had no room for; whether the input is finite is for the largest magnitude to say.
  sums.nan_to_num_(0, kMostOfOneCall, -kMostOfOneCall);
}

}  // namespace vernier::calib

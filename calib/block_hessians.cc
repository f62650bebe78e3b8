#include "calib/block_hessians.h"

#include <cassert>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

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

// Where a triangle's elements are in the flat matrix of a panel of `blocks` blocks, block by block
// [blocks * 136] I64 on `device`. Made once: what is copied to a device is waited for.
const at::Tensor& TrianglePlaces(int64_t blocks, at::Device device) {
  static std::mutex mutex;
  // Never destroyed: the device may be gone by then.
  static auto& made = *new std::map<std::pair<int64_t, std::string>, at::Tensor>();
  const std::lock_guard lock(mutex);
  at::Tensor& places = made[{blocks, device.str()}];
  if (places.defined()) return places;
  std::vector<int64_t> indices;
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t i = b * kBlock; i < (b + 1) * kBlock; ++i) {
      for (int64_t j = i; j < (b + 1) * kBlock; ++j) indices.push_back(i * blocks * kBlock + j);
    }
  }
  return places = at::tensor(indices, at::kLong).to(device);
}

void AddBlocksOnDevice(const at::Tensor& x, const at::Tensor& sums) {
  const int64_t columns = x.size(1), panel = PanelColumns(columns), blocks = panel / kBlock;
  const at::Tensor panels = x.view({-1, columns / panel, panel});
  const at::Tensor whole = F32Products(panels.permute({1, 2, 0}), panels.permute({1, 0, 2}));
  at::Tensor triangles = whole.flatten(1).index_select(1, TrianglePlaces(blocks, x.device()));
  sums.add_(triangles.nan_to_num_(0, kMostOfOneCall, -kMostOfOneCall).flatten());
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

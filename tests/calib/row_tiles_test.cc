// Tiles: all rows once, the same bytes on any number of threads, and products of either type.
#include "calib/families/row_tiles.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "calib/budget/loop_constants.h"
#include "calib/families/linear.h"
#include "calib/families/scaled_attention.h"

namespace vernier::calib {
namespace {

class RowTilesTest : public ::testing::Test {
 protected:
  RowTilesTest() { at::manual_seed(1); }
  ~RowTilesTest() override { at::set_num_threads(threads_); }

  static at::Tensor Random(at::IntArrayRef shape, at::ScalarType dtype = at::kBFloat16) {
    return at::randn(shape).to(dtype);
  }

  int threads_ = at::get_num_threads();
};

TEST_F(RowTilesTest, CoverEveryRowOnce) {
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    for (const int64_t rows : {0, 1, 7, 8, 100}) {
      std::vector<std::atomic<int>> seen(static_cast<size_t>(rows));
      ForRowTiles(at::kCPU, rows, 8, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) ++seen[static_cast<size_t>(row)];
      });
      for (const std::atomic<int>& count : seen) EXPECT_EQ(count, 1);
    }
  }
}

// Each tile waits for the other to begin.
TEST_F(RowTilesTest, RunSeveralAtATime) {
  at::set_num_threads(2);
  std::atomic<int> begun = 0;
  std::atomic<bool> together = true;
  ForRowTiles(at::kCPU, 2, 1, [&](int64_t, int64_t) {
    ++begun;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (begun < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    if (begun < 2) together = false;
  });
  EXPECT_TRUE(together);
}

// Products in a device's tiles are whole, and a tile of narrow rows is no larger than it need be.
TEST_F(RowTilesTest, ADevicesTilesAreWholeProducts) {
  for (const int64_t columns : {1, 64, 4096, 28'672, 1'000'000}) {
    const int64_t rows = RowsOfTile(at::kCUDA, columns);
    EXPECT_GT(rows, 0);
    EXPECT_EQ(rows % kDeviceProductRows, 0) << columns;
    EXPECT_TRUE(rows * columns <= kDeviceTileValues || rows == kDeviceProductRows) << columns;
  }
}

TEST_F(RowTilesTest, OnADeviceTheyComeInTurn) {
  std::vector<std::pair<int64_t, int64_t>> tiles;
  ForRowTiles(at::kCUDA, 10, 4,
              [&](int64_t begin, int64_t end) { tiles.emplace_back(begin, end); });
  EXPECT_EQ(tiles, (std::vector<std::pair<int64_t, int64_t>>{{0, 4}, {4, 8}, {8, 10}}));
}

TEST_F(RowTilesTest, PassErrorsOn) {
  at::set_num_threads(2);
  const auto fail = [](int64_t begin, int64_t) {
    if (begin >= 8) throw std::runtime_error("a tile");
  };
  EXPECT_THROW(ForRowTiles(at::kCPU, 64, 4, fail), std::runtime_error);
}

TEST_F(RowTilesTest, BytesDoNotDependOnThreads) {
  const at::Tensor x = Random({1200, 96}), w = Random({1100, 96}), bias = Random({1100});
  const at::Tensor q = Random({2, 150, 6, 32}), k = Random({2, 150, 2, 32}),
                   v = Random({2, 150, 2, 24});
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    KeyValues past(k.size(1));
    past.Append(k, v);
    return std::vector<at::Tensor>{Linear(x, w, bias), LinearF32(x, w),
                                   past.Attend(q, 0, /*window=*/0, 0.2),
                                   past.Attend(q, 0, /*window=*/40, 0.2)};
  };
  const std::vector<at::Tensor> one = run(1), three = run(3);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(at::equal(one[i], three[i])) << i;
}

// Tiles at the edges of rows and columns are the same product.
TEST_F(RowTilesTest, TiledProductsAreTheProduct) {
  const at::Tensor x = Random({1030, 64}, at::kFloat), w = Random({1500, 64}, at::kFloat);
  const at::Tensor bias = Random({1500}, at::kFloat);
  EXPECT_TRUE(at::allclose(Linear(x, w, bias), at::addmm(bias, x, w.t()), 1e-5, 1e-5));
}

// Both sum in F32 and round once: they are a rounding step of BF16 apart at most.
TEST_F(RowTilesTest, ProductsOfBf16AreThoseOfF32ToRounding) {
  const at::Tensor x = Random({600, 512}), w = Random({64, 512}), bias = Random({64});
  const at::Tensor f32 = Linear(x, w, bias).to(at::kFloat);
  const CpuProductsSetting setting(recipes::CpuProducts::kBf16);
  const at::Tensor bf16 = Linear(x, w, bias).to(at::kFloat);
  constexpr double kStep = 1.0 / 128;
  const at::Tensor sizes = at::mm(x.to(at::kFloat).abs(), w.to(at::kFloat).abs().t());
  const at::Tensor allowed = f32.abs() * kStep + sizes * 1e-6;
  EXPECT_TRUE((f32 - bf16).abs().le(allowed).all().item<bool>());
}

TEST_F(RowTilesTest, AutomaticProductsFollowTheProcessor) {
  using recipes::CpuProducts;
  EXPECT_EQ(ResolveProducts(CpuProducts::kF32), CpuProducts::kF32);
  EXPECT_EQ(ResolveProducts(CpuProducts::kBf16), CpuProducts::kBf16);
  EXPECT_EQ(ResolveProducts(CpuProducts::kAuto),
            HasFastBf16Products() ? CpuProducts::kBf16 : CpuProducts::kF32);
}

}  // namespace
}  // namespace vernier::calib

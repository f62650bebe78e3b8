#include "calib/gptq_device.h"

#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/rounding.h"
#include "quantizers/nvfp4.h"

namespace vernier::calib {
namespace {

constexpr int64_t kScaleBlock = quantizers::kNvfp4BlockSize;
constexpr int64_t kBlockThreads = 128;
constexpr int64_t kUpdateTile = kScaleBlock;  // positions that a thread makes up for
// Positions whose errors those behind all of them hear of together: each goes through memory once
// for all. The sums are made in the same order.
constexpr int64_t kGroup = 8 * kScaleBlock;

std::vector<uint8_t> HostBytes(const at::Tensor& bytes) {
  const at::Tensor host = bytes.contiguous().cpu();
  const auto* begin = host.data_ptr<uint8_t>();
  return {begin, begin + host.numel()};
}

// By position, nibbles [K, N] and codes of scales [K / 16, N] -> as they are stored.
GptqOnDevice::Pending InNaturalOrder(const at::Tensor& nibbles, const at::Tensor& codes,
                                     const at::Tensor& order) {
  const at::Tensor natural = nibbles.index_select(0, order.argsort()).unflatten(0, {-1, 2});
  const at::Tensor packed = natural.select(1, 0) + natural.select(1, 1) * 16;
  const at::Tensor blocks = order.slice(0, 0, order.size(0), kScaleBlock).div(kScaleBlock, "floor");
  return {packed.t(), codes.index_select(0, blocks.argsort()).t()};
}

}  // namespace

std::unique_ptr<GptqOnDevice> GptqOnDevice::Make(at::Device device, std::string& problem) {
  const c10::DeviceGuard current(device);
  std::unique_ptr<DeviceKernels> kernels = DeviceKernels::Compile(kGptqKernelSource, problem);
  return kernels ? std::make_unique<GptqOnDevice>(std::move(kernels)) : nullptr;
}

GptqOnDevice::Pending GptqOnDevice::Start(const at::Tensor& values, float global_scale,
                                          const GptqFactor& factor) const {
  const at::Device device = factor.upper.device();
  const c10::DeviceGuard current(device);
  const int64_t columns = values.size(1);
  auto rows = static_cast<int>(values.size(0));
  const at::Tensor order = at::tensor(factor.order, at::kInt).to(at::kLong).to(device);
  // By position: neighbouring rows side by side.
  const at::Tensor w = values.to(device).t().index_select(0, order).to(at::kFloat).contiguous();
  const at::Tensor nibbles = at::empty({columns, rows}, w.options().dtype(at::kByte));
  const at::Tensor codes = at::empty({columns / kScaleBlock, rows}, w.options().dtype(at::kByte));
  const at::Tensor errors = at::empty({kGroup, rows}, w.options());
  const at::Tensor upper = factor.upper.contiguous();
  const auto at_position = [&](const at::Tensor& tensor, int64_t position) {
    return tensor.data_ptr<float>() + position * tensor.stride(0);
  };
  auto stride = static_cast<long long>(columns);
  const auto blocks_of_rows = static_cast<unsigned>(CeilDivide(int64_t{rows}, kBlockThreads));
  // Of positions from `first` to `end`, in those from there to `last`.
  const auto make_up = [&](int64_t first, int64_t end, int64_t last) {
    if (end == last) return;
    auto positions = static_cast<int>(end - first);
    auto* behind = at_position(w, end);
    auto* u = at_position(upper, first) + end;
    auto* error = at_position(errors, first % kGroup);
    kernels_->Launch("gptq_update",
                     {.x = blocks_of_rows,
                      .y = static_cast<unsigned>((last - end) / kUpdateTile),
                      .threads = kBlockThreads},
                     {&behind, &u, &stride, &rows, &error, &positions});
  };
  for (int64_t group = 0; group < columns; group += kGroup) {
    const int64_t end = std::min(group + kGroup, columns);
    for (int64_t first = group; first < end; first += kScaleBlock) {
      auto* block = at_position(w, first);
      auto* u = at_position(upper, first) + first;
      auto* nibble = nibbles.data_ptr<uint8_t>() + first * rows;
      auto* code = codes.data_ptr<uint8_t>() + first / kScaleBlock * rows;
      auto* error = at_position(errors, first - group);
      kernels_->Launch("gptq_block", {.x = blocks_of_rows, .threads = kBlockThreads},
                       {&block, &u, &stride, &global_scale, &rows, &nibble, &code, &error});
      make_up(first, first + kScaleBlock, end);
    }
    make_up(group, end, columns);
  }
  return InNaturalOrder(nibbles, codes, order);
}

EncodedWeight GptqOnDevice::Pending::Fetch() const { return {HostBytes(codes), HostBytes(scales)}; }

}  // namespace vernier::calib

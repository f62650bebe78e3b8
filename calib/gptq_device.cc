#include "calib/gptq_device.h"

#include <c10/core/DeviceGuard.h>

#include <cassert>
#include <utility>

#include "base/rounding.h"
#include "quantizers/nvfp4.h"

namespace vernier::calib {
namespace {

constexpr int64_t kScaleBlock = quantizers::kNvfp4BlockSize;
constexpr int64_t kBlockThreads = 128,
                  kUpdateTile = 16;  // columns that a block of threads makes up for

std::vector<uint8_t> HostBytes(const at::Tensor& bytes) {
  const at::Tensor host = bytes.contiguous().cpu();
  const auto* begin = host.data_ptr<uint8_t>();
  return {begin, begin + host.numel()};
}

}  // namespace

std::unique_ptr<GptqOnDevice> GptqOnDevice::Make(at::Device device, std::string& problem) {
  const c10::DeviceGuard current(device);
  std::unique_ptr<DeviceKernels> kernels = DeviceKernels::Compile(kGptqKernelSource, problem);
  if (!kernels) return nullptr;
  return std::unique_ptr<GptqOnDevice>(new GptqOnDevice(std::move(kernels)));
}

GptqOnDevice::Pending GptqOnDevice::Start(const at::Tensor& values, float global_scale,
                                          const GptqFactor& factor) const {
  assert(factor.upper.is_cuda());
  const at::Device device = factor.upper.device();
  const c10::DeviceGuard current(device);
  const int64_t columns = values.size(1);
  auto rows = static_cast<int>(values.size(0));
  const at::Tensor order = at::tensor(factor.order, at::kInt).to(at::kLong).to(device);
  // By position: neighbouring rows side by side.
  const at::Tensor w = values.to(device).t().index_select(0, order).to(at::kFloat).contiguous();
  const at::Tensor nibbles = at::empty({columns, rows}, w.options().dtype(at::kByte));
  const at::Tensor codes = at::empty({columns / kScaleBlock, rows}, w.options().dtype(at::kByte));
  const at::Tensor errors = at::empty({kScaleBlock, rows}, w.options());
  const at::Tensor upper = factor.upper.contiguous();
  auto stride = static_cast<long long>(columns);
  const auto blocks_of_rows = static_cast<unsigned>(CeilDivide(int64_t{rows}, kBlockThreads));
  auto* error = errors.data_ptr<float>();
  for (int64_t first = 0; first < columns; first += kScaleBlock) {
    auto* block = w.data_ptr<float>() + first * rows;
    auto* u = upper.data_ptr<float>() + first * columns + first;
    auto* nibble = nibbles.data_ptr<uint8_t>() + first * rows;
    auto* code = codes.data_ptr<uint8_t>() + first / kScaleBlock * rows;
    kernels_->Launch("gptq_block", {.x = blocks_of_rows, .threads = kBlockThreads},
                     {&block, &u, &stride, &global_scale, &rows, &nibble, &code, &error});
    auto rest = static_cast<int>(columns - first - kScaleBlock);
    if (rest == 0) break;
    auto* behind = block + kScaleBlock * rows;
    auto* u_behind = u + kScaleBlock;
    kernels_->Launch("gptq_update",
                     {.x = blocks_of_rows,
                      .y = static_cast<unsigned>(CeilDivide(int64_t{rest}, kUpdateTile)),
                      .threads = kBlockThreads},
                     {&behind, &u_behind, &stride, &rows, &rest, &error});
  }
  const at::Tensor position = order.argsort();
  const at::Tensor natural = nibbles.index_select(0, position).view({columns / 2, 2, rows});
  const at::Tensor packed = natural.select(1, 0) + natural.select(1, 1) * 16;
  const at::Tensor block_order = order.slice(0, 0, columns, kScaleBlock).div(kScaleBlock, "floor");
  return {packed.t(), codes.index_select(0, block_order.argsort()).t()};
}

EncodedWeight GptqOnDevice::Pending::Fetch() const { return {HostBytes(codes), HostBytes(scales)}; }

}  // namespace vernier::calib

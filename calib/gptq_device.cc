#include "calib/gptq_device.h"

#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/rounding.h"
#include "quantizers/nvfp4.h"

namespace vernier::calib {
namespace {

// As the kernels have them.
constexpr int64_t kScaleBlock = quantizers::kNvfp4BlockSize;
constexpr int64_t kGroup = 128;     // positions that one launch quantises
constexpr int64_t kGroupRows = 8;   // of a block of threads that does
constexpr int64_t kTileRows = 128;  // of one that makes up for errors
constexpr int64_t kTilePositions = 64;
constexpr unsigned kThreads = 128;  // of either

// By position, nibbles [K, N] and codes of scales [K / 16, N] -> as they are stored.
EncodedWeight InNaturalOrder(const at::Tensor& nibbles, const at::Tensor& codes,
                             const at::Tensor& order) {
  const at::Tensor natural = nibbles.index_select(0, order.argsort()).unflatten(0, {-1, 2});
  const at::Tensor packed = natural.select(1, 0) + natural.select(1, 1) * 16;
  const at::Tensor blocks = order.slice(0, 0, order.size(0), kScaleBlock).div(kScaleBlock, "floor");
  return {packed.t().contiguous(), codes.index_select(0, blocks.argsort()).t().contiguous()};
}

}  // namespace

std::unique_ptr<GptqOnDevice> GptqOnDevice::Make(at::Device device, std::string& problem) {
  const c10::DeviceGuard current(device);
  std::unique_ptr<DeviceKernels> kernels = DeviceKernels::Compile(kGptqKernelSource, problem);
  return kernels ? std::make_unique<GptqOnDevice>(std::move(kernels)) : nullptr;
}

EncodedWeight GptqOnDevice::Start(const at::Tensor& values, float global_scale,
                                  const GptqFactor& factor) const {
  const at::Device device = factor.upper.device();
  const c10::DeviceGuard current(device);
  const int64_t columns = values.size(1);
  // Rows beyond those of `values` are zeros.
  const int64_t padded = RoundUp(values.size(0), kTileRows);
  const at::Tensor order = at::tensor(factor.order, at::kInt).to(at::kLong).to(device);
  const at::Tensor& upper = factor.upper;
  // By position: neighbouring rows side by side.
  const at::Tensor w = at::zeros({columns, padded}, upper.options());
  w.slice(1, 0, values.size(0)).copy_(values.to(device).t().index_select(0, order));
  const at::Tensor nibbles = at::empty({columns, padded}, w.options().dtype(at::kByte));
  const at::Tensor codes = at::empty({columns / kScaleBlock, padded}, nibbles.options());
  const at::Tensor errors = at::empty({kGroup, padded}, w.options());
  const auto at_position = [](const at::Tensor& tensor, int64_t position) {
    return tensor.data_ptr<float>() + position * tensor.stride(0);
  };
  auto stride = static_cast<long long>(columns), rows = static_cast<long long>(padded);
  for (int64_t group = 0; group < columns; group += kGroup) {
    const int64_t end = std::min(group + kGroup, columns);
    auto* values_of_group = at_position(w, group);
    auto* u = at_position(upper, group) + group;
    auto positions = static_cast<int>(end - group);
    auto* nibble = nibbles.data_ptr<uint8_t>() + group * padded;
    auto* code = codes.data_ptr<uint8_t>() + group / kScaleBlock * padded;
    auto* error = errors.data_ptr<float>();
    kernels_->Launch(
        "gptq_group", {.x = static_cast<unsigned>(padded / kGroupRows), .threads = kThreads},
        {&values_of_group, &u, &stride, &global_scale, &rows, &positions, &nibble, &code, &error});
    if (end == columns) break;
    auto* behind = at_position(w, end);
    auto* u_behind = u + kGroup;
    auto rest = static_cast<int>(columns - end);
    kernels_->Launch("gptq_update",
                     {.x = static_cast<unsigned>(padded / kTileRows),
                      .y = static_cast<unsigned>(CeilDivide(columns - end, kTilePositions)),
                      .threads = kThreads},
                     {&behind, &u_behind, &stride, &rows, &error, &rest});
  }
  const auto of_rows = [&](const at::Tensor& made) { return made.slice(1, 0, values.size(0)); };
  return InNaturalOrder(of_rows(nibbles), of_rows(codes), order);
}

}  // namespace vernier::calib

#include "calib/device_nvfp4.h"

#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/rounding.h"
#include "quantizers/nvfp4.h"
#include "quantizers/nvfp4_local_hessian.h"

namespace vernier::calib {
namespace {

constexpr int64_t kScaleBlock = quantizers::kNvfp4BlockSize;
constexpr unsigned kThreads = 128;  // of a block, in each kernel

KernelsOfSource& Nvfp4Kernels() {
  static auto& kernels = *new KernelsOfSource(kNvfp4KernelSource);
  return kernels;
}

// By position, nibbles [K, N] and codes of scales [K / 16, N] -> as they are stored.
EncodedWeight InNaturalOrder(const at::Tensor& nibbles, const at::Tensor& codes,
                             const at::Tensor& order) {
  const at::Tensor natural = nibbles.index_select(0, order.argsort()).unflatten(0, {-1, 2});
  const at::Tensor packed = natural.select(1, 0) + natural.select(1, 1) * 16;
  const at::Tensor blocks = order.slice(0, 0, order.size(0), kScaleBlock).div(kScaleBlock, "floor");
  return {packed.t().contiguous(), codes.index_select(0, blocks.argsort()).t().contiguous()};
}

// [K / 16, 16]: 1 / sqrt(share * h_ii) of matrices [K / 16, 16, 16] F64, in F32, where H - share *
// diag(H) is positive semidefinite: |x_i| - 6 s above it times the root of an error shows that no
// scale of at most s has that error (nvfp4_local_hessian.h). By bisection; columns of zeros count
// for nothing.
at::Tensor Widths(const at::Tensor& matrices) {
  const at::Tensor diagonal = matrices.diagonal(0, 1, 2);
  const at::Tensor filled = matrices + at::diag_embed(diagonal.eq(0).to(at::kDouble));
  at::Tensor share = at::zeros({matrices.size(0), 1}, matrices.options());
  for (double step = 0.5; step >= quantizers::kShareStep; step /= 2) {
    const at::Tensor more = share + step;
    const auto [factor, info] =
        at::linalg_cholesky_ex(filled - at::diag_embed(diagonal * more), /*upper=*/true);
    share = at::where(info.eq(0).unsqueeze(1), more, share);
  }
  return (diagonal * share).mul_(1 - quantizers::kShareMargin).rsqrt().to(at::kFloat).contiguous();
}

}  // namespace

std::optional<DeviceNvfp4> DeviceNvfp4::Find(at::Device device) {
  const DeviceKernels* kernels = Nvfp4Kernels().Find(device);
  return kernels == nullptr ? std::nullopt : std::optional(DeviceNvfp4(*kernels));
}

std::string DeviceNvfp4::ProblemOf(at::Device device) { return Nvfp4Kernels().ProblemOf(device); }

EncodedWeight DeviceNvfp4::Gptq(const at::Tensor& values, float global_scale,
                                const GptqFactor& factor) const {
  const at::Device device = factor.upper.device();
  const c10::DeviceGuard current(device);
  const int64_t columns = values.size(1);
  // Rows beyond those of `values` are zeros.
  const int64_t padded = RoundUp(values.size(0), kGptqTileRows);
  const at::Tensor order = at::tensor(factor.order, at::kInt).to(at::kLong).to(device);
  const at::Tensor& upper = factor.upper;
  // By position: neighbouring rows side by side.
  const at::Tensor w = at::zeros({columns, padded}, upper.options());
  w.slice(1, 0, values.size(0)).copy_(values.t().index_select(0, order));
  const at::Tensor nibbles = at::empty({columns, padded}, w.options().dtype(at::kByte));
  const at::Tensor codes = at::empty({columns / kScaleBlock, padded}, nibbles.options());
  const at::Tensor errors = at::empty({kGptqGroup, padded}, w.options());
  const auto at_position = [](const at::Tensor& tensor, int64_t position) {
    return tensor.data_ptr<float>() + position * tensor.stride(0);
  };
  auto stride = static_cast<long long>(columns), rows = static_cast<long long>(padded);
  for (int64_t group = 0; group < columns; group += kGptqGroup) {
    const int64_t end = std::min(group + kGptqGroup, columns);
    auto* values_of_group = at_position(w, group);
    auto* u = at_position(upper, group) + group;
    auto positions = static_cast<int>(end - group);
    auto* nibble = nibbles.data_ptr<uint8_t>() + group * padded;
    auto* code = codes.data_ptr<uint8_t>() + group / kScaleBlock * padded;
    auto* error = errors.data_ptr<float>();
    kernels_->Launch(
        "gptq_group", {.x = static_cast<unsigned>(padded / kGptqGroupRows), .threads = kThreads},
        {&values_of_group, &u, &stride, &global_scale, &rows, &positions, &nibble, &code, &error});
    if (end == columns) break;
    auto* behind = at_position(w, end);
    auto* u_behind = u + kGptqGroup;
    auto rest = static_cast<int>(columns - end);
    kernels_->Launch("gptq_update",
                     {.x = static_cast<unsigned>(padded / kGptqTileRows),
                      .y = static_cast<unsigned>(CeilDivide(columns - end, kGptqTilePositions)),
                      .threads = kThreads},
                     {&behind, &u_behind, &stride, &rows, &error, &rest});
  }
  const auto of_rows = [&](const at::Tensor& made) { return made.slice(1, 0, values.size(0)); };
  return InNaturalOrder(of_rows(nibbles), of_rows(codes), order);
}

// A block of threads for a block of columns and some rows. `of_columns`: what is known of columns.
EncodedWeight DeviceNvfp4::ByBlocks(const char* kernel, const at::Tensor& values,
                                    float global_scale,
                                    std::vector<const float*> of_columns) const {
  const c10::DeviceGuard current(values.device());
  const at::Tensor packed = values.contiguous();
  auto rows = static_cast<int>(values.size(0));
  auto columns = static_cast<long long>(values.size(1));
  const auto bytes = values.options().dtype(at::kByte);
  EncodedWeight encoded{at::empty({rows, columns / 2}, bytes),
                        at::empty({rows, columns / kScaleBlock}, bytes)};
  const void* from = packed.data_ptr();
  auto* nibbles = encoded.codes.data_ptr<uint8_t>();
  auto* codes = encoded.scales.data_ptr<uint8_t>();
  std::vector<void*> arguments = {&from, &columns, &rows};
  for (const float*& known : of_columns) arguments.push_back(&known);
  arguments.insert(arguments.end(), {&global_scale, &nibbles, &codes});
  const bool is_f32 = values.scalar_type() == at::kFloat;
  kernels_->Launch((std::string(kernel) + (is_f32 ? "_f32" : "_bf16")).c_str(),
                   {.x = static_cast<unsigned>(columns / kScaleBlock),
                    .y = static_cast<unsigned>(CeilDivide(int64_t{rows}, int64_t{kThreads})),
                    .threads = kThreads},
                   arguments);
  return encoded;
}

EncodedWeight DeviceNvfp4::Squares(const at::Tensor& values, float global_scale,
                                   const at::Tensor& importance) const {
  const at::Tensor packed = importance.contiguous();
  return ByBlocks("squares", values, global_scale, {packed.data_ptr<float>()});
}

EncodedWeight DeviceNvfp4::LocalHessian(const at::Tensor& values, float global_scale,
                                        const at::Tensor& hessians) const {
  const at::Tensor is_zero = hessians.diagonal(0, 1, 2).eq(0).all(1).view({-1, 1, 1});
  const at::Tensor matrices =
      at::where(is_zero, at::eye(kScaleBlock, hessians.options()), hessians).contiguous();
  const at::Tensor widths = Widths(matrices.to(at::kDouble));
  return ByBlocks("local_hessian", values, global_scale,
                  {matrices.data_ptr<float>(), widths.data_ptr<float>()});
}

}  // namespace vernier::calib
